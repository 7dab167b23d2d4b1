// Operators that take whole weights compute the same bits with packed ones, for every layout and at any number of threads.
#include "core/backend/decoded_weight.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/artifact.hpp"
#include "core/codebook/compressed_model.hpp"
#include "core/graph/execution.hpp"
#include "core/graph/recurrent.hpp"
#include "core/graph/tensor_operators.hpp"
#include "tests/support/random.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tiny_vision.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;

CompressedMatrix filled(Layout layout) {
    CompressedMatrix matrix = CompressedMatrix::zeros(std::move(layout));
    matrix.codebooks = random_tensor(matrix.codebooks.shape(), "codebooks", DType::f32);
    const auto k = static_cast<std::ptrdiff_t>(matrix.layout.codewords());
    const auto values = matrix.codebooks.values<float>();
    if (matrix.layout.dimension == 1)
        for (auto at = values.begin(); at != values.end(); at += k) std::sort(at, at + k);
    const Rng draws(3, "codes");
    const auto codes = matrix.mapping.values<std::uint8_t>();
    for (std::size_t i = 0; i < codes.size(); ++i)
        codes[i] = static_cast<std::uint8_t>(draws.bits(i) % static_cast<std::uint64_t>(k));
    return matrix;
}

/// Everything that an artifact can say of a matrix of this size; rows and columns are even.
std::map<std::string, CompressedMatrix> every_layout(std::int64_t rows, std::int64_t cols) {
    std::map<std::string, CompressedMatrix> all;
    for (int bits = 1; bits <= 8; ++bits)
        all[fmt::format("{} bits per row", bits)] = filled(Layout::per_row(rows, cols, bits));
    all["per tensor"] = filled(Layout::per_tensor(rows, cols, 3));
    Layout layout = Layout::per_row(rows, cols, 2);
    layout.row_groups = 2;
    layout.runs = {{0, 1}, {1, 0}, {rows - 1, 1}};
    all["groups of rows"] = filled(layout);
    layout.column_group = cols / 2;
    CompressedMatrix columns = filled(layout);
    columns.offsets = random_tensor({4}, "offsets", DType::f32);
    all["column groups with offsets"] = columns;
    layout.shared_codebook = true;
    CompressedMatrix shared = filled(layout);
    shared.scales = random_tensor({4}, "scales", DType::f32);
    for (std::int64_t row = rows; row-- > 0;) shared.row_order.push_back(static_cast<std::int32_t>(row));
    all["a shared codebook with scales, another order"] = shared;
    layout = Layout::per_tensor(rows, cols, 3);
    layout.dimension = 2;
    all["vectors"] = filled(layout);
    layout.dimension = 1;
    layout.residual = 2;
    CompressedMatrix residual = filled(layout);
    residual.outliers.row_start.assign(static_cast<std::size_t>(rows) + 1, 1);
    residual.outliers.row_start[0] = 0;
    residual.outliers.column = {1};
    residual.outliers.value = {50};
    all["residual stages and an outlier"] = residual;
    for (auto& [name, matrix] : all) matrix.round_to_storage(name);
    return all;
}

struct Case {
    OperatorPtr op;
    Shape input;
    Shape weight;
};

std::map<std::string, Case> operators() {
    const WindowAttributes windows{{3, 2}, {2, 2}, {1, 1}, {1, 0}, {0, 1}, false};
    std::map<std::string, Case> all{
        {"convolution", {make_convolution({windows, 1, false}), {5, 6, 7, 4}, {6, 24}}},
        {"convolution of groups", {make_convolution({windows, 2, false}), {5, 6, 7, 4}, {6, 12}}},
        {"transposed convolution",
         {make_transposed_convolution({windows, {6, 7}, 1, false}), {5, 3, 4, 6}, {12, 6}}},
        {"linear", {make_linear(), {3, 24}, {6, 24}}},
    };
    for (const RecurrentCell cell : {RecurrentCell::lstm, RecurrentCell::gru, RecurrentCell::tanh})
        all[nlohmann::json(cell).dump()] = {
            make_recurrent({cell, false}), {3, 4, gates_of(cell) * 6}, {gates_of(cell) * 6, 6}};
    return all;
}

bool same(const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes());
}

}  // namespace

TEST_CASE("operators compute the same bits with packed weights of every layout") {
    for (const auto& [name, each] : operators()) {
        Graph graph;
        const ValueId x = graph.add_input("x", each.input);
        const ParameterId weight = graph.add_parameter({"weight", "", each.weight, -1, true});
        const Block whole = graph.whole(graph.add("op", each.op, {x}, {weight}));
        const Tensor input = random_tensor(each.input, "x", DType::f32);
        const auto layouts = every_layout(each.weight[0], each.weight[1]);
        Artifact artifact;
        artifact.matrices = layouts;
        artifact.config = nlohmann::json::object();
        const test::TemporaryDirectory folder;
        write_artifact(folder.path() / "artifact", artifact);
        const MappedArtifact mapped = map_artifact(folder.path() / "artifact");
        for (const auto& [layout, matrix] : layouts)
            for (const DType type : {DType::f32, DType::bf16}) {
                INFO(name << ", " << layout << ", " << name_of(type));
                const Executor executor(graph, cpu_backend(), type);
                Weights dense(graph);
                dense.bind(weight, cpu_backend().convert(decode(matrix), type));
                const Tensor expected = executor.forward(whole, dense, input);
                for (const auto& packed :
                     {make_packed_weight(matrix), make_packed_weight(mapped.matrices.at(layout))}) {
                    Weights weights(graph);
                    weights.bind(weight, BoundWeight(packed, type));
                    CHECK(same(dense_of(weights.weight(weight)), dense[weight]));
                    for (const int threads : {1, 3}) {
                        set_thread_count(threads);
                        CHECK(same(executor.forward(whole, weights, input), expected));
                    }
                    set_thread_count(2);
                    CHECK(weights.weight(weight).is_packed());
                }
            }
    }
}

TEST_CASE("a vision model is bound packed, runs to the same bits, and says by which kernel") {
    const Model original = test::tiny_vision();
    CompressedModel model(original);
    const Graph& graph = model.graph();
    for (const auto& use : graph.linears(graph.body().nodes)) {
        const Shape& shape = graph.parameter(use.parameter).shape;
        model.matrices()[use.parameter] = filled(Layout::per_row(shape[0], shape[1], 2));
    }
    Weights packed(graph);
    Weights dense(graph);
    bind_weights(packed, model, graph.body().nodes, DType::f32, cpu_backend(), Binding::packed);
    bind_weights(dense, model, graph.body().nodes, DType::f32, cpu_backend(), Binding::dense);
    for (const auto& [id, matrix] : model.matrices()) CHECK(packed.weight(id).is_packed());
    const Executor executor(graph, cpu_backend(), DType::f32);
    const Tensor images = random_tensor({7, 1, 6, 6}, "images", DType::f32);
    CHECK(
        same(executor.forward(graph.body(), packed, images), executor.forward(graph.body(), dense, images)));
    for (const WeightUse& use : weight_uses(model))
        if (use.name == "first.weight") {
            CHECK(use.held == "2-bit codes");
            CHECK(use.kernel == "decoded for each forward: convolution takes whole weights");
        }
    // Of the original, nothing would be spared.
    bind_weights(packed, original, graph.body().nodes, DType::f32, cpu_backend(), Binding::packed);
    for (const auto& [id, matrix] : model.matrices())
        CHECK(packed.weight(id).is_packed() == (graph.parameter(id).name == "classes.weight"));
}

TEST_CASE("fast products keep their precision where activations have outliers") {
    constexpr std::int64_t rows = 48;
    constexpr std::int64_t cols = 1536;
    constexpr std::int64_t tokens = 3;
    Artifact artifact;
    artifact.config = nlohmann::json::object();
    for (int bits = 1; bits <= 4; ++bits) {
        CompressedMatrix matrix = filled(Layout::per_row(rows, cols, bits));
        matrix.round_to_storage("matrix");
        artifact.matrices[std::to_string(bits)] = matrix;
    }
    const test::TemporaryDirectory folder;
    write_artifact(folder.path() / "artifact", artifact);
    const MappedArtifact mapped = map_artifact(folder.path() / "artifact");
    Tensor x = random_tensor({tokens, cols}, "x", DType::f32);
    x.data<float>()[cols + 5] = 60;  // of the second token, one value that is most of its block
    for (const auto& [bits, matrix] : mapped.matrices) {
        const auto packed = make_packed_weight(matrix);
        REQUIRE(packed->codes() != nullptr);
        const auto product = [&](Products products) {
            Tensor y = Tensor::empty({tokens, rows});
            cpu_backend().multiply(jlcm::matrix(x), BoundWeight(packed, DType::f32, products), y);
            return y;
        };
        const Tensor exact = product(Products::exact);
        const Tensor fast = product(Products::fast);
        for (std::int64_t token = 0; token < tokens; ++token) {
            double error = 0;
            double size = 0;
            for (std::int64_t i = token * rows; i < (token + 1) * rows; ++i) {
                const double expected = exact.data<float>()[i];
                error += std::pow(static_cast<double>(fast.data<float>()[i]) - expected, 2);
                size += expected * expected;
            }
            INFO(bits << " bits, token " << token << ": " << std::sqrt(error / size));
            CHECK(std::sqrt(error / size) < 0.015);
        }
    }
}

TEST_CASE("scores by kernels on codes are those of the products that generation makes, token by token") {
    constexpr std::int64_t vocabulary = 96;
    constexpr std::int64_t width = 256;
    constexpr std::int64_t tokens = 300;  // more than are scored at a time
    Artifact artifact;
    artifact.config = nlohmann::json::object();
    artifact.matrices["head"] = filled(Layout::per_row(vocabulary, width, 4));
    artifact.matrices["head"].round_to_storage("head");
    const test::TemporaryDirectory folder;
    write_artifact(folder.path() / "artifact", artifact);
    const MappedArtifact mapped = map_artifact(folder.path() / "artifact");
    const auto packed = make_packed_weight(mapped.matrices.at("head"));
    const BoundWeight rounded(packed, DType::bf16, Products::rounded);
    const BoundWeight fast(packed, DType::bf16, Products::fast);
    const BoundWeight exact(packed, DType::f32);
    const Tensor features = random_tensor({tokens, width}, "features", DType::f32);
    std::vector<std::int32_t> targets(tokens);
    for (std::size_t i = 0; i < targets.size(); ++i)
        targets[i] = i % 7 == 0 ? -1 : static_cast<std::int32_t>(5 * i % vocabulary);

    const TokenScores alone = cpu_backend().score_tokens(features, rounded, targets, nullptr, nullptr, 0);
    const TokenScores compared = cpu_backend().score_tokens(features, rounded, targets, &features, &exact, 0);
    CHECK(compared.nll == alone.nll);
    CHECK(compared.reference_nll ==
          cpu_backend().score_tokens(features, exact, targets, nullptr, nullptr, 0).nll);
    for (std::int64_t token = 0; token < tokens; ++token) {
        const auto at = static_cast<std::size_t>(token);
        Tensor logits = Tensor::empty({1, vocabulary});
        cpu_backend().multiply(jlcm::matrix(features.slice(token, token + 1)), fast, logits);
        double sum = 0;
        for (const float logit : logits.values<float>()) sum += std::exp(static_cast<double>(logit));
        const double expected =
            targets[at] < 0 ? 0 : std::log(sum) - static_cast<double>(logits.data<float>()[targets[at]]);
        CHECK(static_cast<double>(alone.nll[at]) == Approx(expected).margin(1e-4));
        CHECK(compared.kl[at] < 0.02F);
    }
}
