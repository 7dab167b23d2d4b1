// Matrices on even grids in ggml's affine types: every value comes back to the bit.
#include "core/codebook/affine_matrix.hpp"
#include "core/codebook/even_grid.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <numeric>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;

constexpr std::int64_t rows = 6;
constexpr std::int64_t cols = 96;

CompressedMatrix on_whole_numbers(int bits, std::int64_t group, bool offsets,
                                  std::vector<std::int32_t> order = {}) {
    LayerProblem problem;
    problem.name = "w";
    problem.weights = random_tensor({rows, cols}, "affine", DType::f32);
    Layout layout = Layout::per_row(rows, cols, bits);
    layout.column_group = group;
    layout.shared_codebook = true;
    return fill_even_grids(problem, {std::move(layout), std::move(order), offsets}, equal_importance(),
                           {.fit = GridFit::range, .levels = GridLevels::whole});
}

void check_exact(const CompressedMatrix& matrix, Encoding expected) {
    REQUIRE(affine_encoding_of(matrix) == expected);
    const auto bytes = affine_blocks(matrix, expected);
    const Tensor read = decode({{"w", {matrix.layout.rows, matrix.layout.cols}, expected}, bytes});
    const Tensor own = decode(matrix);
    CHECK(std::ranges::equal(read.bytes(), own.bytes()));
}

}  // namespace

TEST_CASE("grids of whole numbers become the smallest affine type that has their levels") {
    for (const std::int64_t group : {32, 64, 0}) {
        for (const int bits : {1, 2, 3, 4}) check_exact(on_whole_numbers(bits, group, true), Encoding::q4_1);
        check_exact(on_whole_numbers(5, group, true), Encoding::q5_1);
        for (const int bits : {1, 2, 3}) check_exact(on_whole_numbers(bits, group, false), Encoding::q4_0);
        check_exact(on_whole_numbers(4, group, false), Encoding::q5_0);
        for (const int bits : {5, 6, 7}) check_exact(on_whole_numbers(bits, group, false), Encoding::q8_0);
        CHECK_FALSE(affine_encoding_of(on_whole_numbers(8, group, false)));  // -255 to 255
        CHECK_FALSE(affine_encoding_of(on_whole_numbers(6, group, true)));
    }
    check_exact(on_whole_numbers(4, 32, true, {3, 1, 5, 0, 2, 4}), Encoding::q4_1);
}

TEST_CASE("codebooks of their own go into an affine type if they are even, whatever made them") {
    CompressedMatrix matrix = CompressedMatrix::zeros(Layout::per_row(rows, cols, 2));
    for (std::int64_t i = 0; i < matrix.codebooks.size(); ++i)
        matrix.codebooks.data<float>()[i] = 0.375F * static_cast<float>(i % 4 - 2);
    for (std::int64_t i = 0; i < matrix.mapping.size(); ++i)
        matrix.mapping.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * i % 7 % 4);
    check_exact(matrix, Encoding::q4_0);
    for (std::int64_t i = 0; i < matrix.codebooks.size(); ++i) matrix.codebooks.data<float>()[i] += 0.0625F;
    check_exact(matrix, Encoding::q4_1);
    matrix.codebooks.data<float>()[5] += 0x1p-11F;
    CHECK_FALSE(affine_encoding_of(matrix));
}

TEST_CASE("a group of equal weights is a grid without a step") {
    LayerProblem problem;
    problem.name = "w";
    problem.weights = Tensor::empty({1, 32});
    std::ranges::fill(problem.weights.values<float>(), 0.1F);
    Layout layout = Layout::per_row(1, 32, 3);
    layout.shared_codebook = true;
    check_exact(
        fill_even_grids(problem, {layout, {}, true}, equal_importance(), {.levels = GridLevels::whole}),
        Encoding::q4_1);
    std::ranges::fill(problem.weights.values<float>(), 0.0F);
    check_exact(
        fill_even_grids(problem, {layout, {}, true}, equal_importance(), {.levels = GridLevels::whole}),
        Encoding::q4_0);
}

TEST_CASE("what lies on no grid of blocks has no affine type") {
    CHECK_FALSE(affine_encoding_of(on_whole_numbers(4, 48, true)));  // a block in two groups
    CompressedMatrix matrix = on_whole_numbers(4, 32, true);
    matrix.scales.data<float>()[2] *= 1 + 0x1p-12F;  // no float16
    CHECK_FALSE(affine_encoding_of(matrix));
    matrix = on_whole_numbers(4, 32, true);
    matrix.outliers = {.row_start = {0, 1, 1, 1, 1, 1, 1}, .column = {3}, .value = {1.0F}};
    CHECK_FALSE(affine_encoding_of(matrix));
    CHECK_FALSE(affine_encoding_of(CompressedMatrix::zeros(Layout::per_row(2, 40, 2))));
    Layout vectors = Layout::per_row(2, 64, 2);
    vectors.dimension = 2;
    CHECK_FALSE(affine_encoding_of(CompressedMatrix::zeros(vectors)));
    Layout sums = Layout::per_row(2, 64, 2);
    sums.residual = 2;
    CHECK_FALSE(affine_encoding_of(CompressedMatrix::zeros(sums)));
}
