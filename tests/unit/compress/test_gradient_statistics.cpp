// Statistics of gradients against finite differences of the loss.

#include "core/base/parallel.hpp"
#include "core/compress/activations.hpp"
#include "core/compress/gradient_statistics.hpp"
#include "core/compress/second_moments.hpp"
#include "tests/support/tiny_llama.hpp"

#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

std::set<ParameterId> all_linears(const Graph& graph) {
    std::set<ParameterId> ids;
    for (const Block& block : graph.blocks())
        for (const auto& use : graph.linears(block.nodes)) ids.insert(use.parameter);
    return ids;
}

/// Summed negative log-likelihood of the next tokens of one sequence, given its features.
double loss_of(const Model& model, const Tensor& ids, const Tensor& features) {
    std::vector<std::int32_t> targets(ids.values<std::int32_t>().begin() + 1,
                                      ids.values<std::int32_t>().end());
    targets.push_back(-1);
    const auto scores = cpu_backend().score_tokens(features.reshape({ids.size(), features.shape().back()}),
                                                   head_weight(model, DType::f32, cpu_backend()), targets,
                                                   nullptr, nullptr, 0);
    double total = 0;
    for (const float nll : scores.nll) total += static_cast<double>(nll);
    return total;
}

}  // namespace

TEST_CASE("Fisher information is the mean square of each sequence's gradient") {
    const Model model = test::tiny_llama();
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    const Tensor ids = test::random_ids({3, 8}, 32, "ids");
    const auto statistics = gradient_statistics(executor, model, ids, {.fisher = true}, all_linears(graph));
    Weights weights(graph);
    bind_weights(weights, model, {0, graph.node_count()}, DType::f32, cpu_backend());
    const auto loss = [&](std::int64_t sequence) {
        const Tensor one = ids.slice(sequence, sequence + 1);
        return loss_of(model, one, executor.forward(graph.body(), weights, one));
    };
    double mean = 0;
    for (std::int64_t s = 0; s < 3; ++s) mean += loss(s) / (3 * 7);
    CHECK(statistics.loss == Approx(mean).epsilon(1e-5));
    for (const Block& block : graph.blocks()) {
        for (const auto& use : graph.linears(block.nodes)) {
            const Tensor original = model.weight(use.parameter);
            for (const std::int64_t i : {std::int64_t{0}, original.size() / 2, original.size() - 1}) {
                double expected = 0;
                for (std::int64_t s = 0; s < 3; ++s) {
                    constexpr float h = 4e-3F;
                    double ends[2] = {};
                    for (int side = 0; side < 2; ++side) {
                        Tensor moved = original.clone();
                        moved.data<float>()[i] += side == 0 ? -h : h;
                        weights.bind(use.parameter, moved);
                        ends[side] = loss(s);
                    }
                    const double slope = (ends[1] - ends[0]) / (2 * static_cast<double>(h));
                    expected += slope * slope / 3;
                }
                weights.bind(use.parameter, original);
                CHECK(statistics.fisher.at(use.parameter).data<float>()[i] ==
                      Approx(expected).epsilon(0.05).margin(1e-5));
            }
        }
    }
}

TEST_CASE("token weights are squared gradients of outputs, and weigh second moments") {
    const Model model = test::tiny_llama();
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    const Tensor ids = test::random_ids({2, 8}, 32, "ids");
    const Block& last = graph.blocks().back();
    // The last linear layer's output is added to the stream, so that its gradient is the block output's.
    const auto use = graph.linears(last.nodes).back();
    const std::int64_t width = graph.parameter(use.parameter).shape[0];
    const auto statistics =
        gradient_statistics(executor, model, ids, {.row_sets = width}, all_linears(graph));
    CHECK(statistics.fisher.empty());
    const Tensor& token_weights = statistics.token_weights.at(use.node);
    REQUIRE(token_weights.shape() == Shape({16, width}));
    Weights weights(graph);
    bind_weights(weights, model, {0, graph.node_count()}, DType::f32, cpu_backend());
    const Tensor one = ids.slice(1, 2);
    const Tensor stream = executor.forward(
        {.nodes = {0, last.nodes.end}, .input = graph.input(), .output = last.output}, weights, one);
    const auto squared_slope = [&](std::int64_t token, std::int64_t j) {
        double ends[2] = {};
        for (int side = 0; side < 2; ++side) {
            Tensor moved = stream.clone();
            moved.data<float>()[token * width + j] += side == 0 ? -4e-3F : 4e-3F;
            ends[side] = loss_of(model, one, executor.forward(graph.epilogue(), weights, moved));
        }
        return std::pow((ends[1] - ends[0]) / 8e-3, 2);
    };
    const double unit =
        static_cast<double>(token_weights.data<float>()[(8 + 2) * width + 3]) / squared_slope(2, 3);
    for (const auto& [token, j] : {std::pair(0, 0), std::pair(4, 5), std::pair(6, 1)})
        CHECK(token_weights.data<float>()[(8 + token) * width + j] ==
              Approx(unit * squared_slope(token, j)).epsilon(0.05).margin(1e-4));
    CHECK(token_weights.data<float>()[15 * width] == 0);  // the last position predicts nothing

    const auto pairs = gradient_statistics(executor, model, ids, {.row_sets = 2}, all_linears(graph));
    SecondMoments moments(executor, &pairs);
    Tensor activations = first_activations(executor, model, ids);
    std::map<NodeId, Tensor> inputs;
    const LinearObserver sums = moments.observer();
    for (const Block& block : graph.blocks())
        (void)advance(
            executor, block, weights, activations,
            [&](NodeId node, const Tensor& input) {
                sums(node, input);
                inputs[node] = input.clone();
            },
            2);
    for (const auto& each : graph.linears(last.nodes)) {
        const auto weighted = moments.weighted(each.node);
        REQUIRE(weighted.size() == 2);
        const Tensor& x = inputs.at(each.node);
        const std::int64_t n = x.shape().back();
        for (std::int64_t q = 0; q < 2; ++q) {
            double expected = 0;
            for (std::int64_t t = 0; t < 16; ++t)
                expected += static_cast<double>(pairs.token_weights.at(each.node).data<float>()[t * 2 + q]) *
                            static_cast<double>(x.data<float>()[t * n] * x.data<float>()[t * n + 1]);
            CHECK(weighted[static_cast<std::size_t>(q)].data<float>()[1] ==
                  Approx(expected).epsilon(1e-3).margin(1e-4));
        }
    }
}

TEST_CASE("gradient statistics are the same bytes at any number of threads") {
    const Model model = test::tiny_llama();
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    const Tensor ids = test::random_ids({3, 16}, 32, "ids");
    const int threads = thread_count();
    std::vector<GradientStatistics> found;
    for (const int count : {1, 3}) {
        set_thread_count(count);
        found.push_back(
            gradient_statistics(executor, model, ids, {.row_sets = 3, .fisher = true}, all_linears(graph)));
    }
    set_thread_count(threads);
    for (const auto& [id, fisher] : found[0].fisher)
        CHECK(std::ranges::equal(fisher.bytes(), found[1].fisher.at(id).bytes()));
    for (const auto& [node, weights] : found[0].token_weights)
        CHECK(std::ranges::equal(weights.bytes(), found[1].token_weights.at(node).bytes()));
}
