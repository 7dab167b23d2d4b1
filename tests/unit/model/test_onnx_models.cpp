// The shared vision models: forward as ONNX Runtime, re-ordered as before, blocks that hold every weight.
#include "core/formats/onnx.hpp"
#include "core/graph/graph_json.hpp"
#include "core/model/reordered_model.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/onnx_runtime.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_permutations.hpp"
#include "tests/support/tiny_vision.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// A checkpoint's graph and weights, without a tokenizer.
class OnnxModelUnderTest final : public WeightSource {
  public:
    explicit OnnxModelUnderTest(Checkpoint checkpoint)
        : checkpoint_(std::move(checkpoint)), graph_(build_graph(checkpoint_.config)) {}
    const Graph& graph() const override { return graph_; }
    Tensor weight(ParameterId id) const override {
        return decode(checkpoint_.tensor(graph_.parameter(id).name));
    }

  private:
    Checkpoint checkpoint_;
    Graph graph_;
};

Tensor logits(const WeightSource& model, const Tensor& images, DType compute = DType::f32) {
    Backend& backend = cpu_backend();
    const Graph& graph = model.graph();
    Weights weights(graph);
    bind_weights(weights, model, {0, graph.node_count()}, compute, backend);
    return Executor(graph, backend, compute).forward(graph.body(), weights, images);
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    return worst;
}

struct Case {
    const char* path;
    std::int64_t images;
    std::size_t blocks;
};

/// The file in the assets, or in the folder of this project's own models beside them.
std::optional<std::filesystem::path> find(const Case& each) {
    const auto root = test::assets();
    if (!root) return std::nullopt;
    for (const auto& folder : {*root / "vision", *root / "../ours"})
        if (std::filesystem::exists(folder / each.path)) return folder / each.path;
    return std::nullopt;
}

void check(const Case& each) {
    INFO(each.path);
    const auto path = find(each);
    JLCM_SKIP_UNLESS(path, "no test assets (JLCM_ASSETS)");
    const OnnxModelUnderTest model(read_onnx_checkpoint(*path));
    Shape shape = model.graph().input_shape();
    shape[0] = each.images;
    const Tensor images = test::random_tensor(shape, "images", DType::f32);
    const Tensor actual = logits(model, images);
    REQUIRE(actual.shape().size() == 2);
    REQUIRE(actual.rows() == each.images);

    // One after the other gives the same.
    std::vector<float> single;
    for (std::int64_t i = 0; i < each.images; ++i) {
        const Tensor one = logits(model, images.slice(i, i + 1));
        single.insert(single.end(), one.values<float>().begin(), one.values<float>().end());
    }
    CHECK(largest_difference(single, actual.values<float>()) < 1e-4);

    // Every weight belongs to a block, and blocks give what the graph does.
    const Graph& graph = model.graph();
    CHECK(graph.blocks().size() == each.blocks);
    for (const Parameter& parameter : graph.parameters()) CHECK(parameter.block >= 0);
    CHECK(graph.epilogue().nodes.first == graph.epilogue().nodes.end);
    CHECK(to_json(graph_from_json(to_json(graph))) == to_json(graph));

    // Any order that the analysis allows leaves the logits as they are.
    const PermutationAnalysis analysis(graph);
    const Permutations permutations = test::random_permutations(analysis, 3);
    const ReorderedModel reordered(model, analysis, permutations);
    std::size_t moved = 0;
    std::size_t linear = 0;
    for (const auto& use : graph.linears({0, graph.node_count()})) {
        ++linear;
        moved += reordered.rows(use.parameter).empty() ? 0 : 1;
    }
    CHECK(moved + 2 >= linear);
    CHECK(largest_difference(logits(reordered, images).values<float>(), actual.values<float>()) < 2e-4);

    const auto expected = test::onnx_runtime(*path, images);
    JLCM_SKIP_UNLESS(expected, "no ONNX Runtime (JLCM_PYTHON)");
    CHECK(largest_difference(*expected, actual.values<float>()) < 1e-4);
}

}  // namespace

TEST_CASE("ResNet-20 of CIFAR-10 from ONNX") {
    check({"resnet20-cifar10/model.onnx", 3, 11});
}

TEST_CASE("ResNet-20 of Fashion-MNIST from ONNX") {
    check({"resnet20-fashion-mnist.onnx", 3, 11});
}

TEST_CASE("ViT of Fashion-MNIST from ONNX") {
    check({"vit-fashion-mnist.onnx", 3, 14});
}

TEST_CASE("attention written out as products: each head may have an order of its own") {
    const OnnxModelUnderTest model(
        read_onnx_checkpoint(std::filesystem::path(JLCM_SOURCE_DIR) / "models/vit-fashion-mnist.onnx"));
    const PermutationAnalysis analysis(model.graph());
    // Of six blocks: queries, keys and values come from one product, whose reshape gives their heads one
    // axis.
    const auto by_head = [](const PermutationClass& each) {
        return each.is_free() && each.size == 24 && each.instances == 4;
    };
    CHECK(std::ranges::count_if(analysis.classes(), by_head) == 6);
    const ReorderedModel reordered(model, analysis, test::random_permutations(analysis, 8));
    Shape shape = model.graph().input_shape();
    shape[0] = 2;
    const Tensor images = test::random_tensor(shape, "images", DType::f32);
    CHECK(largest_difference(logits(reordered, images).values<float>(),
                             logits(model, images).values<float>()) < 2e-4);
}

TEST_CASE("SqueezeNet from ONNX") {
    check({"squeezenet1.1-imagenet/model.onnx", 2, 18});
}

TEST_CASE("MobileNet from ONNX") {
    check({"mobilenet-v1-0.75-imagenet/model.onnx", 2, 28});
}

TEST_CASE("folded batch norms compute the same") {
    const auto path = find({"resnet20-cifar10/model.onnx", 0, 0});
    JLCM_SKIP_UNLESS(path, "no test assets (JLCM_ASSETS)");
    const OnnxModelUnderTest kept(read_onnx_checkpoint(*path));
    const OnnxModelUnderTest folded(read_onnx_checkpoint(*path, {.fold_batch_norm = true}));
    for (const Node& node : folded.graph().nodes()) CHECK(node.op->kind() != "batch_norm");
    const Tensor images = test::random_tensor({4, 3, 32, 32}, "images", DType::f32);
    CHECK(largest_difference(logits(folded, images).values<float>(), logits(kept, images).values<float>()) <
          1e-4);
}

TEST_CASE("preprocessing that does not fit the network is refused when the model is loaded") {
    Checkpoint checkpoint = test::tiny_vision().checkpoint();
    checkpoint.extra["preprocess"]["input_size"] = {1, 24, 24};
    checkpoint.preprocess_file = "here/preprocess.json";
    CHECK_THROWS_WITH(Model(checkpoint), Catch::Contains("here/preprocess.json") &&
                                             Catch::Contains("[1,24,24]") && Catch::Contains("[1, 6, 6]"));
    checkpoint.extra["preprocess"]["input_size"] = {1, 6, 6};
    CHECK(Model(checkpoint).input().preprocess->shape() == Shape{1, 6, 6});
}
