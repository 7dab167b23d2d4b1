// The entropy of a mapping against a count by hand.

#include "core/codebook/entropy.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

CompressedMatrix with_codes(Layout layout, const std::vector<int>& codes) {
    CompressedMatrix matrix = CompressedMatrix::zeros(std::move(layout));
    REQUIRE(matrix.mapping.size() == std::ssize(codes));
    std::ranges::transform(codes, matrix.mapping.data<std::uint8_t>(),
                           [](int code) { return static_cast<std::uint8_t>(code); });
    return matrix;
}

double entropy(const std::vector<double>& shares) {
    double bits = 0;
    for (const double p : shares) bits -= p * std::log2(p);
    return bits;
}

}  // namespace

TEST_CASE("a code's entropy is that of its group's frequencies") {
    CHECK(mapping_entropy(with_codes(Layout::per_row(1, 1, 2), {3})) == 0);
    CHECK(mapping_entropy(with_codes(Layout::per_row(2, 4, 2), {0, 1, 2, 3, 3, 2, 1, 0})) == Approx(2));
    CHECK(mapping_entropy(with_codes(Layout::per_row(2, 4, 2), {1, 1, 1, 1, 2, 2, 2, 2})) == 0);
    CHECK(mapping_entropy(with_codes(Layout::per_tensor(2, 4, 2), {1, 1, 1, 1, 2, 2, 2, 2})) == Approx(1));
    CHECK(mapping_entropy(with_codes(Layout::per_row(2, 4, 1), {1, 0, 0, 0, 0, 1, 0, 1})) ==
          Approx((entropy({0.25, 0.75}) + 1) / 2));
}

TEST_CASE("groups of columns, vectors of weights and residual stages have frequencies of their own") {
    Layout columns = Layout::per_row(1, 8, 2);
    columns.column_group = 4;
    CHECK(mapping_entropy(with_codes(columns, {0, 0, 1, 1, 2, 2, 2, 2})) == Approx(0.5));
    Layout vectors = Layout::per_tensor(2, 8, 2);
    vectors.dimension = 4;
    vectors.residual = 2;
    CHECK(mapping_entropy(with_codes(vectors, {0, 1, 2, 3, 3, 3, 3, 3})) == Approx(1));
}
