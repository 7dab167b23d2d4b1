// A re-ordered model computes what the original does.
#include "core/model/reordered_model.hpp"
#include "core/model/scoring.hpp"
#include "core/tensor/reorder.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_permutations.hpp"
#include "tests/support/tiny_llama.hpp"

#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

Tensor logits(const WeightSource& model, const Tensor& ids) {
    Backend& backend = cpu_backend();
    const BoundModel bound(model, DType::f32, backend);
    return backend.product(bound.features(ids), bound.head());
}

/// The largest difference of the logits of `model` and of its re-ordered self.
double largest_difference(const Model& model, std::int64_t length) {
    const PermutationAnalysis analysis(model.graph());
    const Permutations permutations = test::random_permutations(analysis, 5);
    const ReorderedModel reordered(model, analysis, permutations);
    for (const auto& block : model.graph().blocks())
        for (const auto& use : model.graph().linears(block.nodes))
            CHECK_FALSE((reordered.rows(use.parameter).empty() && reordered.columns(use.parameter).empty()));
    const std::int64_t vocabulary = model.graph().parameter(model.graph().head()).shape[0];
    const Tensor ids = test::random_ids({1, length}, vocabulary, "ids");
    const Tensor expected = logits(model, ids);
    const Tensor actual = logits(reordered, ids);
    REQUIRE(expected.shape() == actual.shape());
    double worst = 0;
    for (std::int64_t i = 0; i < expected.size(); ++i)
        worst = std::max(worst,
                         std::abs(static_cast<double>(expected.data<float>()[i] - actual.data<float>()[i])));
    return worst;
}

}  // namespace

TEST_CASE("a re-ordered tiny Llama gives the original's logits") {
    CHECK(largest_difference(test::tiny_llama(), 12) < 1e-4);
}

TEST_CASE("a re-ordered stories260k gives the original's logits") {
    const auto root = test::assets();
    JLCM_SKIP_UNLESS(root, "no test assets (JLCM_ASSETS)");
    CHECK(largest_difference(Model(read_checkpoint(*root / "lm/stories260k")), 100) < 1e-4);
}

TEST_CASE("the re-ordered default model gives the original's logits") {
    const auto path = test::default_model();
    JLCM_SKIP_UNLESS(path, "the default model is not in the cache (scripts/fetch_model.sh)");
    CHECK(largest_difference(Model(read_checkpoint(*path)), 24) < 1e-3);
}

TEST_CASE("encoded tensors keep their encoding when re-ordered, unless columns leave their block") {
    const Tensor values = test::random_tensor({4, 64}, "values", DType::f32);
    const std::vector<std::int32_t> rows{2, 0, 3, 1};
    std::vector<std::int32_t> columns(64);
    for (std::size_t j = 0; j < 64; ++j) columns[j] = static_cast<std::int32_t>((j * 7) % 64);
    for (const Encoding encoding : {Encoding::f32, Encoding::f16, Encoding::bf16, Encoding::q8_0}) {
        const auto bytes = encode(values.values<float>(), encoding);
        StoredTensor stored;
        stored.name = "w";
        stored.shape = {4, 64};
        stored.encoding = encoding;
        stored.bytes = bytes;
        const auto by_rows = reorder(stored, rows, {});
        CHECK(by_rows.stored.encoding == encoding);
        const Tensor expected = reorder(decode(stored), rows, {});
        CHECK(std::ranges::equal(decode(by_rows.stored).values<float>(), expected.values<float>()));

        const auto by_both = reorder(stored, rows, columns);
        const bool block = encoding == Encoding::q8_0;
        CHECK(by_both.stored.encoding == (block ? Encoding::f16 : encoding));
        const Tensor moved = reorder(decode(stored), rows, columns);
        const Tensor decoded = decode(by_both.stored);
        for (std::int64_t i = 0; i < moved.size(); ++i)
            CHECK(decoded.data<float>()[i] ==
                  Approx(moved.data<float>()[i]).epsilon(block ? 5e-4 : 0).margin(block ? 1e-6 : 0));
    }
    const Tensor huge = Tensor::from<float>({32}, std::vector<float>(32, 1e6F));
    const auto bytes = encode(huge.values<float>(), Encoding::q8_0);
    StoredTensor stored;
    stored.name = "norm";
    stored.shape = {32};
    stored.encoding = Encoding::q8_0;
    stored.bytes = bytes;
    std::vector<std::int32_t> reversed(32);
    for (std::size_t i = 0; i < 32; ++i) reversed[i] = static_cast<std::int32_t>(31 - i);
    CHECK_THROWS_WITH(reorder(stored, reversed, {}), Catch::Contains("float16"));
}
