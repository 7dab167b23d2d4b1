// Calibration: activations block by block, and second moments of what linear layers read.

#include "core/base/files.hpp"
#include "core/base/log.hpp"
#include "core/compress/activations.hpp"
#include "core/compress/block_pass.hpp"
#include "core/compress/samples.hpp"
#include "core/compress/second_moments.hpp"
#include "core/compress/stage_keys.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tiny_llama.hpp"

#include <set>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

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
    const Tensor whole = executor.forward({.nodes = {0, graph.blocks().back().nodes.end},
                                           .input = graph.input(),
                                           .output = graph.blocks().back().output},
                                          weights, ids);
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

TEST_CASE("a layer fitted to the original's outputs makes them of what the compressed model feeds it") {
    const Model model = test::tiny_llama();
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    const Block& block = graph.blocks().front();
    Weights weights(graph);
    bind_weights(weights, model, block.nodes, DType::f32, cpu_backend());
    const Tensor original = first_activations(executor, model, test::random_ids({40, 32}, 32, "ids"));
    const Graph::LinearUse query = graph.linears(block.nodes).front();
    const Tensor w = model.weight(query.parameter);

    // Without the original there is nothing to fit to; with the same inputs there is nothing to make up for.
    SecondMoments alone(executor);
    (void)executor.forward(block, weights, original, nullptr, alone.observer());
    CHECK(std::ranges::equal(alone.fitted_to_original(query.node, w).bytes(), w.bytes()));
    SecondMoments same(executor);
    (void)executor.forward(block, weights, original, nullptr, same.original_observer());
    (void)executor.forward(block, weights, original, nullptr, same.observer());
    const Tensor unmoved = same.fitted_to_original(query.node, w);
    for (std::int64_t i = 0; i < w.size(); ++i)
        REQUIRE(unmoved.data<float>()[i] == Approx(w.data<float>()[i]).margin(1e-4));

    // A third of the features at half their size: but for the norm before the query, columns can make up for
    // it.
    Tensor compressed = original.clone();
    for (std::int64_t i = 0; i < compressed.size(); ++i)
        if (i % w.cols() % 3 == 0) compressed.data<float>()[i] *= 0.5F;
    Tensor x;
    Tensor x_compressed;
    const auto keep = [&](Tensor& kept) {
        return [&](NodeId node, const Tensor& input) {
            if (node == query.node) kept = input.clone();
        };
    };
    (void)executor.forward(block, weights, original, nullptr, keep(x));
    (void)executor.forward(block, weights, compressed, nullptr, keep(x_compressed));
    SecondMoments both(executor);
    (void)executor.forward(block, weights, original, nullptr, both.original_observer());
    (void)executor.forward(block, weights, compressed, nullptr, both.observer());
    const auto error = [&](const Tensor& of) {
        Tensor output = cpu_backend().product(x_compressed, Transpose::no, of, Transpose::yes);
        cpu_backend().add_scaled(output, cpu_backend().product(x, Transpose::no, w, Transpose::yes), -1.0);
        return cpu_backend().sum_of_squares(output);
    };
    CHECK(error(both.fitted_to_original(query.node, w)) < 0.2 * error(w));
}

TEST_CASE("windows of distillation are fresh ones, and the seed decides which are drawn") {
    std::string text;
    for (int i = 0; i < 2000; ++i) text += static_cast<char>('A' + (i * i + i / 7) % 26);
    const Model model = test::tiny_llama();
    CalibrationOptions calibration;
    calibration.sequences = 20;
    calibration.length = 16;
    CompressOptions compress;
    compress.distill.emplace();
    compress.distill->steps = 5;
    compress.distill->batch = 4;
    const auto drawn = [&](std::uint64_t seed) {
        return draw_samples(calibration, compress, seed, text_of(text), model.input());
    };
    const auto windows = drawn(0);
    CHECK(windows.calibration.shape() == Shape({20, 16}));
    CHECK(windows.distillation.shape() == Shape({20, 16}));
    CHECK(windows.distinct == "640 tokens");

    const auto again = drawn(0);
    CHECK(std::ranges::equal(again.calibration.bytes(), windows.calibration.bytes()));
    const auto other = drawn(1);
    CHECK_FALSE(std::ranges::equal(other.calibration.bytes(), windows.calibration.bytes()));
}

TEST_CASE("second moments of an expert count the tokens that it was given") {
    const Model model(
        read_checkpoint(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/transformers/mixtral"));
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    const Block& block = graph.blocks().front();
    Weights weights(graph);
    bind_weights(weights, model, block.nodes, DType::f32, cpu_backend());
    SecondMoments moments(executor);
    (void)advance(executor, block, weights,
                  first_activations(executor, model, test::random_ids({3, 12}, 263, "ids")),
                  moments.observer(), 3);
    std::int64_t given = 0;
    for (const auto& use : graph.linears(block.nodes)) {
        const std::string& name = graph.parameter(use.parameter).name;
        if (name.ends_with(".w1.weight")) given += moments.samples(use.node);
        if (name.ends_with("q_proj.weight")) CHECK(moments.samples(use.node) == 36);
    }
    CHECK(given == 36 * 2);
}

TEST_CASE("experts of few tokens are told of once, whether their block is solved or found in the cache") {
    const test::TemporaryDirectory directory;
    const Model model(
        read_checkpoint(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/transformers/mixtral"));
    const CompressOptions options;
    const auto plan = plan_compression(model.graph(), options);
    const CalibrationSamples samples{.calibration = test::random_ids({3, 12}, 263, "ids"),
                                     .observed = 3,
                                     .distillation = {},
                                     .distinct = {}};
    StageCache cache(directory.path() / "cache", 1e8);
    for (const bool found : {false, true}) {
        const RunFiles files{directory.path() / (found ? "found" : "computed")};
        std::filesystem::create_directories(files.checkpoints());
        Metrics metrics(files.metrics());
        Stages stages;
        const Compression run{options,
                              model,
                              plan,
                              cpu_backend(),
                              DType::f32,
                              0,
                              source_key("auto", model, cpu_backend(), DType::f32, nullptr),
                              {files, metrics, stages, cache}};
        CompressedModel compressed(model);
        set_log_file(files.log());
        compress_blocks(run, samples, compressed, nullptr, {0, 1});
        set_log_file({});
        const std::string log = read_file(files.log());
        const auto said = log.find("saw fewer calibration tokens");
        REQUIRE(said != std::string::npos);
        CHECK(log.find("saw fewer calibration tokens", said + 1) == std::string::npos);
    }
}
