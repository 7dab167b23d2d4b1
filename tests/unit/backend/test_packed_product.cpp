// Products with packed weights against their definition in packed_product.hpp, written out column by column,
// to the bit; and against exact arithmetic within the error that 8 bits have.
#include "core/backend/packed_product.hpp"
#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/packing.hpp"
#include "tests/support/guarded_bytes.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::GuardedBytes;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float none = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_floats(std::int64_t count, std::string_view stream, float scale = 1.0F) {
    const Rng rng(11, stream);
    std::vector<float> values;
    for (std::int64_t i = 0; i < count; ++i)
        values.push_back(scale * static_cast<float>(rng.normal(static_cast<std::uint64_t>(i))));
    return values;
}

std::vector<std::uint8_t> random_bytes(std::int64_t count, std::string_view stream, int bits = 8) {
    const Rng rng(12, stream);
    std::vector<std::uint8_t> values;
    for (std::int64_t i = 0; i < count; ++i)
        values.push_back(
            static_cast<std::uint8_t>(rng.bits(static_cast<std::uint64_t>(i)) & ((1U << bits) - 1U)));
    return values;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
    return std::ranges::equal(a, b, [](float x, float y) {
        return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y) ||
               (std::isnan(x) && std::isnan(y));
    });
}

/// As a tree over 16 lanes.
float tree(std::array<float, 16> lanes) {
    for (std::size_t half = 8; half >= 1; half /= 2)
        for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    return lanes[0];
}

/// A block of activations by the definition.
struct Block {
    std::vector<int> integers;
    float step = 0;
    float sum = 0;
};
Block quantised(std::span<const float> x) {
    Block block;
    float greatest = 0;
    std::array<float, 16> sums{};
    bool finite = true;
    for (std::size_t i = 0; i < x.size(); ++i) {
        finite = finite && std::isfinite(x[i]);
        greatest = std::max(greatest, std::fabs(x[i]));
        sums.at(i % 16) += x[i];
    }
    block.step = finite ? std::max(greatest / 127.0F, std::numeric_limits<float>::min()) : none;
    block.sum = finite ? tree(sums) : none;
    const float inverse = 1.0F / block.step;
    for (const float value : x)
        block.integers.push_back(finite ? static_cast<int>(std::nearbyint(value * inverse)) : 0);
    return block;
}

/// A matrix of codes and all that belongs to it.
struct Codes {
    std::int64_t rows, cols;
    int bits;
    std::int64_t column_group = 0;
    std::vector<std::int32_t> row_groups;  ///< empty: one a row
    std::vector<std::int32_t> row_order;
    std::vector<std::uint8_t> codes;  ///< [rows, cols]
    CodeTables tables;

    [[nodiscard]] std::int64_t column_groups() const {
        return column_group == 0 ? 1 : (cols + column_group - 1) / column_group;
    }
    [[nodiscard]] std::size_t group(std::int64_t row, std::int64_t column) const {
        const std::int64_t row_group = row_groups.empty() ? row : row_groups[static_cast<std::size_t>(row)];
        return static_cast<std::size_t>(row_group * column_groups() +
                                        (column_group == 0 ? 0 : column / column_group));
    }
    [[nodiscard]] int level(std::int64_t row, std::int64_t column) const {
        const auto code = codes[static_cast<std::size_t>(row * cols + column)];
        const std::size_t table = tables.is_shared() ? 0 : group(row, column);
        return tables.levels[table * static_cast<std::size_t>(tables.codewords) + code];
    }
    [[nodiscard]] std::size_t model_row(std::int64_t row) const {
        return static_cast<std::size_t>(row_order.empty() ? row : row_order[static_cast<std::size_t>(row)]);
    }

    /// The product by the definition, [tokens, rows].
    [[nodiscard]] std::vector<float> product(std::span<const float> x) const {
        const auto tokens = static_cast<std::int64_t>(x.size()) / cols;
        const std::int64_t codes_per_word = 32 / (bits == 3 ? 2 : bits);
        std::vector<float> y(static_cast<std::size_t>(tokens * rows));
        for (std::int64_t token = 0; token < tokens; ++token) {
            std::vector<Block> blocks;
            for (std::int64_t first = 0; first < cols; first += 16 * codes_per_word)
                blocks.push_back(quantised(
                    x.subspan(static_cast<std::size_t>(token * cols + first),
                              static_cast<std::size_t>(std::min(16 * codes_per_word, cols - first)))));
            for (std::int64_t row = 0; row < rows; ++row) {
                std::array<float, 16> totals{};
                std::array<float, 16> sums{};
                float offset = 0;
                float group_sum = 0;
                std::int64_t first = 0;
                for (const Block& block : blocks) {
                    const auto size = static_cast<std::int64_t>(block.integers.size());
                    std::array<int, 16> lanes{};
                    for (std::int64_t i = 0; i < size; ++i)
                        lanes.at(static_cast<std::size_t>(i % (size / codes_per_word))) +=
                            level(row, first + i) * block.integers[static_cast<std::size_t>(i)];
                    for (std::size_t l = 0; l < 16; ++l)
                        sums.at(l) += static_cast<float>(lanes.at(l)) * block.step;
                    group_sum += block.sum;
                    const std::size_t here = group(row, first);
                    first += size;
                    if (first < cols && group(row, first) == here) continue;
                    for (std::size_t l = 0; l < 16; ++l) totals.at(l) += tables.scales[here] * sums.at(l);
                    offset += tables.offsets[here] * group_sum;
                    sums = {};
                    group_sum = 0;
                }
                y[static_cast<std::size_t>(token * rows) + model_row(row)] = tree(totals) + offset;
            }
        }
        return y;
    }

    /// What the kernels make of it.
    [[nodiscard]] std::vector<float> packed_product(std::span<const float> x) const {
        const auto lines = PackedLines::of(rows, cols, bits);
        std::vector<std::uint8_t> packed(static_cast<std::size_t>(lines.bytes(bits)));
        pack_codes(codes, lines, bits, packed);
        const GuardedBytes bytes(std::as_bytes(std::span(packed)));
        CodedRows weight;
        weight.rows = rows;
        weight.cols = cols;
        weight.bytes = bytes.data();
        weight.bits = bits;
        weight.tables = &tables;
        weight.column_group = column_group;
        if (!row_groups.empty()) weight.row_groups = row_groups.data();
        if (!row_order.empty()) weight.row_order = row_order.data();
        REQUIRE(no_kernel_reason(weight).empty());
        const auto tokens = static_cast<std::int64_t>(x.size()) / cols;
        const QuantisedRows quantised_x =
            quantise_activations(x.data(), tokens, cols, activation_order(weight));
        std::vector<float> y(static_cast<std::size_t>(tokens * rows), 12345.0F);
        jlcm::packed_product(weight, quantised_x, y.data());
        return y;
    }
};

/// With a table of random values per row.
Codes random_codes(std::int64_t rows, std::int64_t cols, int bits) {
    Codes matrix{rows, cols, bits, 0, {}, {}, {}, {}};
    const auto name = fmt::format("{} {} {}", rows, cols, bits);
    matrix.codes = random_bytes(rows * cols, name, bits);
    matrix.tables = CodeTables::of(random_floats(rows << bits, name), 1 << bits);
    return matrix;
}

// The block formats column by column: encoding.cpp decodes them block by block.

struct FormatValue {
    float scale;
    int integer;
    float minimum;
};
FormatValue value_of(Encoding encoding, const std::uint8_t* row, std::int64_t column) {
    const auto values = block_values(encoding);
    const std::uint8_t* in = row + column / values * static_cast<std::int64_t>(block_bytes(encoding));
    const auto i = static_cast<int>(column % values);
    const auto half = [&](int at) {
        return float_from_f16(static_cast<std::uint16_t>(in[at] | in[at + 1] << 8));
    };
    const auto nibble = [&](int at, bool upper) { return upper ? in[at] >> 4 : in[at] & 15; };
    const int block = i / 32;
    const auto k_scale = [&](int first) {  // 6 bits of scale and minimum
        const std::uint8_t* packed = in + 4;
        if (block < 4) return packed[block + first] & 63;
        const int low = first == 0 ? packed[block + 4] & 15 : packed[block + 4] >> 4;
        return low | (packed[block - 4 + first] >> 6) << 4;
    };
    switch (encoding) {
        case Encoding::q8_0:
            return {half(0), static_cast<std::int8_t>(in[2 + i]), 0};
        case Encoding::q4_0:
            return {half(0), nibble(2 + i % 16, i >= 16) - 8, 0};
        case Encoding::q4_1:
            return {half(0), nibble(4 + i % 16, i >= 16), half(2)};
        case Encoding::q4_k:
            return {half(0) * static_cast<float>(k_scale(0)),
                    nibble(16 + i / 64 * 32 + i % 32, block % 2 != 0),
                    -(half(2) * static_cast<float>(k_scale(4)))};
        case Encoding::q5_k:
            return {half(0) * static_cast<float>(k_scale(0)),
                    nibble(48 + i / 64 * 32 + i % 32, block % 2 != 0) | ((in[16 + i % 32] >> block) & 1) << 4,
                    -(half(2) * static_cast<float>(k_scale(4)))};
        default:  // q6_k
            return {half(208) * static_cast<float>(static_cast<std::int8_t>(in[192 + i / 16])),
                    (nibble(i / 128 * 64 + i % 64, i % 128 >= 64) |
                     ((in[128 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3) << 4) -
                        32,
                    0};
    }
}

/// Random rows of a format, with scales near 0.01.
std::vector<std::uint8_t> random_format_rows(Encoding encoding, std::int64_t rows, std::int64_t cols) {
    const auto size = static_cast<std::int64_t>(block_bytes(encoding));
    const std::int64_t blocks = rows * cols / block_values(encoding);
    std::vector<std::uint8_t> bytes =
        random_bytes(blocks * size, fmt::format("{} {} {}", name_of(encoding), rows, cols));
    const std::vector<float> scales = random_floats(2 * blocks, "scales", 0.01F);
    for (std::int64_t block = 0; block < blocks; ++block) {
        const auto put = [&](std::int64_t at, float value) {
            const std::uint16_t bits = f16_from_float(value);
            std::memcpy(bytes.data() + block * size + at, &bits, 2);
        };
        put(encoding == Encoding::q6_k ? 208 : 0, scales[static_cast<std::size_t>(2 * block)]);
        if (encoding == Encoding::q4_1 || encoding == Encoding::q4_k || encoding == Encoding::q5_k)
            put(2, scales[static_cast<std::size_t>(2 * block + 1)]);
    }
    return bytes;
}

constexpr std::array formats{Encoding::q8_0, Encoding::q4_0, Encoding::q4_1,
                             Encoding::q4_k, Encoding::q5_k, Encoding::q6_k};

std::vector<float> format_product(Encoding encoding, std::span<const std::uint8_t> bytes, std::int64_t rows,
                                  std::span<const float> x, std::int64_t cols) {
    const auto tokens = static_cast<std::int64_t>(x.size()) / cols;
    const std::int64_t row_bytes = static_cast<std::int64_t>(bytes.size()) / rows;
    std::vector<float> y;
    for (std::int64_t token = 0; token < tokens; ++token) {
        for (std::int64_t row = 0; row < rows; ++row) {
            std::array<float, 16> sums{};
            std::array<float, 2> minimums{};
            for (std::int64_t b = 0; b < cols / 32; ++b) {
                const Block block = quantised(x.subspan(static_cast<std::size_t>(token * cols + 32 * b), 32));
                for (std::size_t lane = 0; lane < 8; ++lane) {
                    int integer = 0;
                    float scale = 0;
                    for (std::size_t i = 4 * lane; i < 4 * lane + 4; ++i) {
                        const auto value = value_of(encoding, bytes.data() + row * row_bytes,
                                                    32 * b + static_cast<std::int64_t>(i));
                        integer += value.integer * block.integers[i];
                        scale = value.scale;
                        if (i == 0) minimums.at(static_cast<std::size_t>(b % 2)) += value.minimum * block.sum;
                    }
                    sums.at(static_cast<std::size_t>(b % 2 * 8) + lane) +=
                        static_cast<float>(integer) * (scale * block.step);
                }
            }
            y.push_back(tree(sums) + (minimums[0] + minimums[1]));
        }
    }
    return y;
}

std::vector<float> packed_format_product(Encoding encoding, std::span<const std::uint8_t> content,
                                         std::int64_t rows, std::span<const float> x, std::int64_t cols,
                                         const std::int32_t* row_order = nullptr) {
    const GuardedBytes bytes(std::as_bytes(content));
    CodedRows weight;
    weight.rows = rows;
    weight.cols = cols;
    weight.bytes = bytes.data();
    weight.encoding = encoding;
    weight.row_order = row_order;
    REQUIRE(no_kernel_reason(weight).empty());
    const auto tokens = static_cast<std::int64_t>(x.size()) / cols;
    std::vector<float> y(static_cast<std::size_t>(tokens * rows), 12345.0F);
    packed_product(weight, quantise_activations(x.data(), tokens, cols, ActivationOrder::blocks), y.data());
    return y;
}

}  // namespace

TEST_CASE("packed products of codes are what they are defined as, to the bit") {
    WARN("kernels: " << packed_kernels_name());
    for (const int bits : {1, 2, 3, 4}) {
        const std::int64_t grain = bits == 2 ? 16 : (bits == 4 ? 8 : 32);
        for (const std::int64_t multiple :
             {1, 2, 3, 7, 8, 9, 15, 16, 17, 18, 24, 28, 31, 32, 33, 47, 64, 344}) {
            const std::int64_t cols = grain * multiple;
            for (const auto& [rows, tokens] : {std::array<std::int64_t, 2>{1, 1}, {7, 1}, {9, 3}, {6, 8}}) {
                INFO(bits << " bits, " << rows << " x " << cols << ", " << tokens << " tokens");
                const Codes matrix = random_codes(rows, cols, bits);
                const auto x = random_floats(tokens * cols, "x");
                REQUIRE(same_bits(matrix.product(x), matrix.packed_product(x)));
            }
        }
    }
}

TEST_CASE("packed products of codes: every column counts once, in its place") {
    for (const int bits : {1, 2, 3, 4}) {
        for (const std::int64_t cols : {32, 288, 576, 896, 1440}) {
            Codes matrix = random_codes(2, cols, bits);
            std::vector<float> x(static_cast<std::size_t>(cols), 0.0F);
            for (std::int64_t column = 0; column < cols; ++column) {
                x[static_cast<std::size_t>(column)] = 127.0F;  // step 1: the product is exact
                const auto y = matrix.packed_product(x);
                x[static_cast<std::size_t>(column)] = 0.0F;
                INFO(bits << " bits, column " << column << " of " << cols);
                for (std::int64_t row = 0; row < 2; ++row) {
                    const auto i = static_cast<std::size_t>(row);
                    REQUIRE(y[i] ==
                            matrix.tables.scales[i] * static_cast<float>(matrix.level(row, column) * 127) +
                                matrix.tables.offsets[i] * 127.0F);
                }
            }
        }
    }
}

TEST_CASE("packed products with groups of rows and columns, shared codebooks and an order of rows") {
    const std::int64_t rows = 11;
    for (const int bits : {1, 2, 3, 4}) {
        const std::int64_t block = bits == 1 ? 512 : (bits == 4 ? 128 : 256);
        for (const std::int64_t cols : {2 * block, 3 * block + 64, 5 * block + 128}) {
            for (const std::int64_t column_group : {std::int64_t{0}, block, 2 * block, 8 * block}) {
                for (const bool shared : {false, true}) {
                    for (const std::int64_t row_groups : {1, 4}) {
                        INFO(bits << " bits, " << cols << " columns in groups of " << column_group << ", "
                                  << row_groups << " row groups, shared: " << shared);
                        Codes matrix = random_codes(rows, cols, bits);
                        matrix.column_group = column_group;
                        for (std::int64_t row = 0; row < rows; ++row) {
                            matrix.row_groups.push_back(static_cast<std::int32_t>(row * row_groups / rows));
                            matrix.row_order.push_back(static_cast<std::int32_t>((3 * row + 5) % rows));
                        }
                        const std::int64_t groups = row_groups * matrix.column_groups();
                        const auto values = random_floats(groups << bits, "values");
                        const auto scales = random_floats(groups, "scales");
                        matrix.tables =
                            shared ? CodeTables::of_shared(std::span(values).first(std::size_t{1} << bits),
                                                           scales, random_floats(groups, "offsets"))
                                   : CodeTables::of(values, 1 << bits);
                        const auto x = random_floats(2 * cols, "x");
                        REQUIRE(same_bits(matrix.product(x), matrix.packed_product(x)));
                    }
                }
            }
        }
    }
}

TEST_CASE("packed products with one table for all rows need no row groups") {
    Codes matrix = random_codes(5, 576, 2);
    matrix.tables = CodeTables::of(random_floats(4, "values"), 4);
    const auto x = random_floats(576, "x");
    const auto y = matrix.tables.groups() == 1 ? matrix.packed_product(x) : std::vector<float>{};
    matrix.row_groups.assign(5, 0);
    CHECK(same_bits(matrix.product(x), y));
}

TEST_CASE("packed products are within the error of 8 bits") {
    for (const int bits : {1, 2, 3, 4}) {
        for (const std::int64_t cols : {32, 576, 11008}) {
            for (const float outlier : {1.0F, 300.0F}) {
                const std::int64_t rows = 5;
                const auto values = random_floats(rows << bits, "skewed");
                Codes matrix = random_codes(rows, cols, bits);
                const auto codewords = std::size_t{1} << bits;
                matrix.tables = CodeTables::of(values, 1 << bits);
                auto x = random_floats(cols, "x");
                x[17] *= outlier;
                const auto y = matrix.packed_product(x);
                for (std::size_t row = 0; row < 5; ++row) {
                    const auto table = std::span(values).subspan(row * codewords, codewords);
                    const auto [least, greatest] = std::ranges::minmax(table);
                    double exact = 0;
                    double bound = 0;
                    const std::int64_t block = bits == 1 ? 512 : (bits == 4 ? 128 : 256);
                    for (std::int64_t c = 0; c < cols; ++c) {
                        const auto first = static_cast<std::size_t>(c / block * block);
                        float step = 0;
                        for (std::size_t i = first;
                             i < first + static_cast<std::size_t>(block) && i < x.size(); ++i)
                            step = std::max(step, std::fabs(x[i]) / 127.0F);
                        const double xc = x[static_cast<std::size_t>(c)];
                        const double t = table[matrix.codes[row * static_cast<std::size_t>(cols) +
                                                            static_cast<std::size_t>(c)]];
                        const double range = static_cast<double>(greatest) - static_cast<double>(least);
                        exact += t * xc;
                        bound += 0.5001 * static_cast<double>(step) * range / 2 +
                                 (std::fabs(xc) + static_cast<double>(step)) * range / 508 +
                                 1e-5 * std::fabs(t * xc);
                    }
                    INFO(bits << " bits, " << cols << " columns: " << y[row] << " for " << exact);
                    REQUIRE(std::fabs(static_cast<double>(y[row]) - exact) <= bound);
                    // The errors of columns are independent: far below the bound in most cases.
                    if (outlier == 1.0F && cols == 11008)
                        CHECK(std::fabs(static_cast<double>(y[row]) - exact) < 0.1 * bound);
                }
            }
        }
    }
}

TEST_CASE("packed products of hard inputs") {
    for (const int bits : {1, 2, 3, 4}) {
        INFO(bits << " bits");
        const std::int64_t cols = 576;
        Codes matrix = random_codes(6, cols, bits);
        auto x = random_floats(3 * cols, "x");
        SECTION("zeros") {
            std::ranges::fill(x, 0.0F);
            for (const float y : matrix.packed_product(x)) REQUIRE(y == 0.0F);
        }
        SECTION("the least and the greatest numbers") {
            for (const float scale : {1e-45F, 1e-38F, 1e-30F, 1e30F}) {
                auto scaled = x;
                for (float& value : scaled) value *= scale;
                REQUIRE(same_bits(matrix.product(scaled), matrix.packed_product(scaled)));
            }
        }
        SECTION("what is no finite number reaches every output of its token, and of no other") {
            for (const float bad : {none, infinity, -infinity}) {
                for (const std::size_t at : {std::size_t{0}, std::size_t{575}}) {
                    auto damaged = x;
                    damaged[576 + at] = bad;
                    const auto expected = matrix.packed_product(x);
                    const auto y = matrix.packed_product(damaged);
                    REQUIRE(same_bits(std::span(y).first(6), std::span(expected).first(6)));
                    for (std::size_t i = 6; i < 12; ++i) REQUIRE(std::isnan(y[i]));
                    REQUIRE(same_bits(std::span(y).last(6), std::span(expected).last(6)));
                }
            }
        }
        SECTION("all codes equal") {
            for (const int code : {0, (1 << bits) - 1}) {
                std::ranges::fill(matrix.codes, static_cast<std::uint8_t>(code));
                REQUIRE(same_bits(matrix.product(x), matrix.packed_product(x)));
            }
        }
        SECTION("all codewords equal") {
            matrix.tables = CodeTables::of(std::vector<float>(std::size_t{6} << bits, 0.75F), 1 << bits);
            const auto y = matrix.packed_product(x);
            for (std::size_t i = 0; i < y.size(); ++i) {
                double sum = 0;
                for (std::size_t c = 0; c < 576; ++c) sum += static_cast<double>(x[i / 6 * 576 + c]);
                REQUIRE(std::fabs(static_cast<double>(y[i]) - 0.75 * sum) < 1e-4);
            }
        }
        SECTION("codewords at the ends of float16") {
            auto values = random_floats(6 << bits, "values", 30000.0F);
            for (float& value : values) value = std::clamp(value, -65504.0F, 65504.0F);
            values[0] = 65504.0F;
            values[1] = -65504.0F;
            matrix.tables = CodeTables::of(values, 1 << bits);
            CHECK(matrix.tables.levels[0] == 127);
            CHECK(matrix.tables.levels[1] == -127);
            REQUIRE(same_bits(matrix.product(x), matrix.packed_product(x)));
        }
        SECTION("levels and activations at their ends: no sum saturates") {
            std::ranges::fill(matrix.codes, std::uint8_t{0});
            for (auto& level : matrix.tables.levels) level = -127;
            for (const float value : {-1.0F, 1.0F}) {
                std::ranges::fill(x, value);
                const auto y = matrix.packed_product(x);
                REQUIRE(same_bits(matrix.product(x), y));
                const double expected = -127.0 * 576 * static_cast<double>(value * matrix.tables.scales[0]) +
                                        576.0 * static_cast<double>(value * matrix.tables.offsets[0]);
                REQUIRE(std::fabs(static_cast<double>(y[0]) - expected) < 1e-4 * (1 + std::fabs(expected)));
            }
        }
        SECTION("a codeword that is no finite number: its rows alone are NaN") {
            auto values = random_floats(6 << bits, "values");
            values[1] = infinity;
            matrix.tables = CodeTables::of(values, 1 << bits);
            const auto y = matrix.packed_product(x);
            for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(std::isnan(y[i]) == (i % 6 == 0));
        }
    }
}

TEST_CASE("packed products of block formats are what they are defined as, to the bit") {
    for (const Encoding encoding : formats) {
        const std::int64_t grain = block_values(encoding);
        for (const std::int64_t multiple : {1, 2, 3, 5, 16, 17, 18, 33}) {
            const std::int64_t cols = grain * multiple;
            for (const auto& [rows, tokens] : {std::array<std::int64_t, 2>{1, 1}, {3, 2}, {2, 6}}) {
                INFO(name_of(encoding) << ", " << rows << " x " << cols << ", " << tokens << " tokens");
                const auto bytes = random_format_rows(encoding, rows, cols);
                const auto x = random_floats(tokens * cols, "x");
                REQUIRE(same_bits(format_product(encoding, bytes, rows, x, cols),
                                  packed_format_product(encoding, bytes, rows, x, cols)));
            }
        }
    }
}

TEST_CASE("packed products of block formats agree with their decoded rows") {
    for (const Encoding encoding : formats) {
        INFO(name_of(encoding));
        const std::int64_t rows = 4;
        const std::int64_t cols = 1024;
        const auto bytes = random_format_rows(encoding, rows, cols);
        StoredTensor stored;
        stored.name = "weight";
        stored.shape = {rows, cols};
        stored.encoding = encoding;
        stored.bytes = std::as_bytes(std::span(bytes));
        const Tensor decoded = decode(stored);
        const auto x = random_floats(cols, "x");
        const std::array<std::int32_t, 4> order{2, 0, 3, 1};
        const auto y = packed_format_product(encoding, bytes, rows, x, cols, order.data());
        for (std::int64_t row = 0; row < rows; ++row) {
            double exact = 0;
            double bound = 0;
            for (std::int64_t c = 0; c < cols; ++c) {
                const double w = decoded.data<float>()[row * cols + c];
                const double xc = x[static_cast<std::size_t>(c)];
                const auto value = value_of(
                    encoding, bytes.data() + row * static_cast<std::int64_t>(bytes.size()) / rows, c);
                REQUIRE(value.scale * static_cast<float>(value.integer) + value.minimum ==
                        decoded.data<float>()[row * cols + c]);
                float greatest = 0;
                for (std::int64_t i = c / 32 * 32; i < c / 32 * 32 + 32; ++i)
                    greatest = std::max(greatest, std::fabs(x[static_cast<std::size_t>(i)]));
                exact += w * xc;
                bound += std::fabs(static_cast<double>(value.scale) * value.integer) *
                             static_cast<double>(greatest) / 127 * 0.5001 +
                         1e-5 * std::fabs(w * xc);
            }
            const double difference = std::fabs(
                static_cast<double>(y[static_cast<std::size_t>(order.at(static_cast<std::size_t>(row)))]) -
                exact);
            CHECK(difference <= bound);
            CHECK(difference <= 0.2 * bound);
        }
    }
}

TEST_CASE("packed products of block formats at the ends of their integers") {
    for (const Encoding encoding : formats) {
        INFO(name_of(encoding));
        const std::int64_t cols = 512;
        for (const int filling : {0x00, 0x80, 0x7f, 0xff}) {
            auto bytes = random_format_rows(encoding, 1, cols);
            const auto size = block_bytes(encoding);
            const auto scales = bytes;
            std::ranges::fill(bytes, static_cast<std::uint8_t>(filling));
            for (std::size_t block = 0; block < bytes.size(); block += size)
                for (const std::size_t at : {std::size_t{0}, std::size_t{2}, std::size_t{208}})
                    if (at + 2 <= size && (encoding == Encoding::q6_k) == (at == 208) &&
                        (at != 2 || (encoding != Encoding::q8_0 && encoding != Encoding::q4_0)))
                        std::copy_n(scales.begin() + static_cast<std::ptrdiff_t>(block + at), 2,
                                    bytes.begin() + static_cast<std::ptrdiff_t>(block + at));
            for (const float value : {-1.0F, 1.0F}) {
                const std::vector<float> x(static_cast<std::size_t>(cols), value);
                REQUIRE(same_bits(format_product(encoding, bytes, 1, x, cols),
                                  packed_format_product(encoding, bytes, 1, x, cols)));
            }
            std::vector<float> damaged(static_cast<std::size_t>(cols), 1.0F);
            damaged[100] = none;
            REQUIRE(std::isnan(packed_format_product(encoding, bytes, 1, damaged, cols)[0]));
        }
    }
}

TEST_CASE("several packed products at once are those one by one, at any number of threads") {
    const std::int64_t cols = 1024;
    const auto x = random_floats(2 * cols, "x");
    std::vector<Codes> matrices;
    for (const auto& [rows, bits] : {std::array<std::int64_t, 2>{700, 2}, {3, 3}, {900, 3}, {1, 2}})
        matrices.push_back(random_codes(rows, cols, static_cast<int>(bits)));
    std::vector<std::vector<std::uint8_t>> packed;
    std::vector<CodedRows> weights;
    for (const Codes& matrix : matrices) {
        const auto lines = PackedLines::of(matrix.rows, cols, matrix.bits);
        auto& bytes = packed.emplace_back(static_cast<std::size_t>(lines.bytes(matrix.bits)));
        pack_codes(matrix.codes, lines, matrix.bits, bytes);
        CodedRows& weight = weights.emplace_back();
        weight.rows = matrix.rows;
        weight.cols = cols;
        weight.bits = matrix.bits;
        weight.tables = &matrix.tables;
        weight.bytes = std::as_bytes(std::span(bytes)).data();
    }
    const QuantisedRows quantised_x = quantise_activations(x.data(), 2, cols, ActivationOrder::bits_2);
    const int before = thread_count();
    for (const int threads : {1, 2, 3}) {
        set_thread_count(threads);
        std::vector<std::vector<float>> results;
        std::vector<PackedProduct> products;
        for (const Codes& matrix : matrices) results.emplace_back(static_cast<std::size_t>(2 * matrix.rows));
        for (std::size_t i = 0; i < matrices.size(); ++i)
            products.push_back({&weights[i], results[i].data()});
        packed_products(products, quantised_x);
        for (std::size_t i = 0; i < matrices.size(); ++i)
            REQUIRE(same_bits(results[i], matrices[i].product(x)));
    }
    set_thread_count(before);
}

TEST_CASE("what rounding leaves of activations is what it took") {
    for (const auto& [order, cols] : {std::pair{ActivationOrder::bits_1, 1088},
                                      {ActivationOrder::bits_2, 576},
                                      {ActivationOrder::bits_2, 48},
                                      {ActivationOrder::bits_4, 328},
                                      {ActivationOrder::blocks, 96}}) {
        INFO(static_cast<int>(order) << ", " << cols << " columns");
        std::vector<float> x = random_floats(3 * cols, "x");
        x[7] = 100;
        const QuantisedRows rounded = quantise_activations(x.data(), 3, cols, order);
        std::vector<float> left(x.size());
        rounding_remainder(x.data(), rounded, left.data());
        for (std::int64_t i = 0; i < std::ssize(x); ++i) {
            const std::int64_t width = rounded.values.shape()[2];
            const std::int64_t block = i / cols * rounded.blocks + i % cols / width;
            const float step = rounded.steps.data<float>()[block];
            const float value = x[static_cast<std::size_t>(i)];
            const float expected = value - step * std::nearbyint(value / step);
            CHECK(std::abs(left[static_cast<std::size_t>(i)] - expected) <= 1e-3F * step);
        }
    }
}

TEST_CASE("packed products say what they have no kernel for") {
    CodedRows weight;
    weight.rows = 4;
    weight.cols = 576;
    const auto reason = [&](int bits, std::int64_t cols, std::int64_t column_group = 0) {
        weight.bits = bits;
        weight.cols = cols;
        weight.column_group = column_group;
        return no_kernel_reason(weight);
    };
    for (const int bits : {1, 2, 3, 4}) {
        CHECK(reason(bits, 576).empty());
        CHECK(reason(bits, 7) == fmt::format("rows of 7 codes of {} bits share words", bits));
        // As the rows that packing.hpp puts into one line.
        for (std::int64_t cols = 1; cols < 100; ++cols)
            CHECK(reason(bits, cols).empty() == (PackedLines::of(2, cols, bits).lines == 2));
    }
    CHECK(reason(5, 576) == "there are kernels for codes of 1 to 4 bits, not of 5");
    CHECK(reason(0, 576) == "there are kernels for codes of 1 to 4 bits, not of 0");
    CHECK(reason(2, 576, 128) == "column groups of 128 are no multiple of 256, the columns of a block");
    CHECK(reason(2, 576, 256).empty());
    CHECK(reason(2, 576, 600).empty());
    CHECK(reason(4, 576, 128).empty());
    weight.encoding = Encoding::q5_0;
    CHECK(reason(0, 576) == "there are kernels for Q8_0, Q4_0, Q4_1, Q4_K, Q5_K and Q6_K, not for Q5_0");
    weight.encoding = Encoding::q4_k;
    CHECK(reason(0, 576) == "rows of 576 columns are no whole blocks of Q4_K");
    CHECK(reason(0, 512).empty());
    weight.rows = 0;
    CHECK(reason(0, 512) == "it has no elements");
}
