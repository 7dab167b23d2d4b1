// Calibration: activations block by block, and second moments of what linear layers read.

#include "core/experiment/calibration.hpp"
#include "tests/support/tiny_llama.hpp"

#include <set>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

RunSpec spec_of(std::int64_t sequences, std::int64_t length) {
    RunSpec spec;
    spec.calibration.sequences = sequences;
    spec.calibration.length = length;
    return spec;
}

CalibrationData text_of(const std::string& text) {
    return {.data = {TextData{.name = "text", .documents = {text}, .sha256 = "", .source = ""}},
            .shares = {1.0}};
}

}  // namespace

TEST_CASE("activations that advance block by block, in steps, are those of one forward") {
    const Model model = test::tiny_llama();
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    const Tensor ids = test::random_ids({150, 32}, 32, "ids");  // more than one step
    Weights weights(graph);
    bind_weights(weights, model, {0, graph.node_count()}, DType::f32, cpu_backend());

    Tensor activations = first_activations(executor, model, ids);
    for (const Block& block : graph.blocks()) activations = advance(executor, block, weights, activations);
    const Tensor whole = executor.forward({0, graph.blocks().back().nodes.end}, weights, graph.input(), ids,
                                          graph.blocks().back().output);
    REQUIRE(activations.shape() == whole.shape());
    for (std::int64_t i = 0; i < whole.size(); ++i)
        REQUIRE(activations.data<float>()[i] == Approx(whole.data<float>()[i]).margin(1e-5));
}

TEST_CASE(
    "second moments are the sums over the observed sequences alone, shared by layers that read one value") {
    const Model model = test::tiny_llama();
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    const Block& block = graph.blocks().front();
    Weights weights(graph);
    bind_weights(weights, model, block.nodes, DType::f32, cpu_backend());
    const Tensor ids = test::random_ids({150, 32}, 32, "ids");
    const std::int64_t observed = 70;  // neither a step nor all

    Tensor activations = first_activations(executor, model, ids);
    std::map<NodeId, Tensor> expected;
    (void)executor.forward(block, weights, activations.slice(0, observed).clone(), nullptr,
                           [&](NodeId node, const Tensor& input) {
                               const std::int64_t width = input.shape().back();
                               Tensor sum = Tensor::zeros({width, width});
                               for (std::int64_t t = 0; t < observed * 32; ++t)
                                   for (std::int64_t i = 0; i < width; ++i)
                                       for (std::int64_t j = 0; j < width; ++j)
                                           sum.data<float>()[i * width + j] +=
                                               input.data<float>()[t * width + i] *
                                               input.data<float>()[t * width + j];
                               expected[node] = sum;
                           });
    SecondMoments moments(executor);
    (void)advance(executor, block, weights, activations, moments.observer(), observed);
    std::set<const void*> different;
    for (const auto& use : graph.linears(block.nodes)) {
        const Tensor& sum = moments.matrix(use.node);
        different.insert(sum.bytes().data());
        CHECK(moments.samples(use.node) == observed * 32);
        const Tensor& direct = expected.at(use.node);
        REQUIRE(sum.shape() == direct.shape());
        for (std::int64_t i = 0; i < sum.size(); ++i)
            REQUIRE(sum.data<float>()[i] == Approx(direct.data<float>()[i]).epsilon(1e-3).margin(1e-2));
    }
    CHECK(different.size() == 4);  // query, key and value; output; gate and up; down
}

TEST_CASE("windows of distillation are fresh ones, and the seed decides which are drawn") {
    std::string text;
    for (int i = 0; i < 2000; ++i) text += static_cast<char>('A' + (i * i + i / 7) % 26);
    const Model model = test::tiny_llama();
    RunSpec spec = spec_of(20, 16);
    spec.compress.distill.emplace();
    spec.compress.distill->steps = 5;
    spec.compress.distill->batch = 4;
    const auto windows = draw_samples(spec, text_of(text), model.input());
    CHECK(windows.calibration.shape() == Shape({20, 16}));
    CHECK(windows.distillation.shape() == Shape({20, 16}));
    CHECK(windows.distinct == "640 tokens");

    const auto again = draw_samples(spec, text_of(text), model.input());
    CHECK(std::ranges::equal(again.calibration.bytes(), windows.calibration.bytes()));
    spec.seed = 1;
    const auto other = draw_samples(spec, text_of(text), model.input());
    CHECK_FALSE(std::ranges::equal(other.calibration.bytes(), windows.calibration.bytes()));
}
