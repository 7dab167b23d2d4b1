#include "core/base/half.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/compressed_matrix.hpp"
#include "core/codebook/packing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

CompressedMatrix random_matrix(Layout layout, std::uint64_t seed) {
    const Rng rng(seed, "matrix");
    const Rng codes(seed, "codes");
    CompressedMatrix m = CompressedMatrix::zeros(std::move(layout));
    auto c = m.codebooks.values<float>();
    for (std::size_t i = 0; i < c.size(); ++i) c[i] = static_cast<float>(rng.normal(i));
    auto map = m.mapping.values<std::uint8_t>();
    for (std::size_t i = 0; i < map.size(); ++i)
        map[i] = static_cast<std::uint8_t>(codes.bits(i) % static_cast<std::uint64_t>(m.layout.codewords()));
    if (m.layout.dimension == 1) {
        const auto k = static_cast<std::size_t>(m.layout.codewords());
        for (std::size_t i = 0; i < c.size(); i += k)
            std::sort(c.begin() + static_cast<long>(i), c.begin() + static_cast<long>(i + k));
    }
    return m;
}

/// The definition, element by element.
Tensor slow_decode(const CompressedMatrix& m) {
    const auto& l = m.layout;
    Tensor out = Tensor::zeros({l.rows, l.cols});
    const auto groups = l.row_group_of_rows();
    for (std::int64_t i = 0; i < l.rows; ++i) {
        const std::int64_t row = m.row_order.empty() ? i : m.row_order[static_cast<std::size_t>(i)];
        for (std::int64_t j = 0; j < l.cols; ++j) {
            const std::int64_t g = groups[static_cast<std::size_t>(i)] * l.column_groups() +
                                   (l.column_group ? j / l.column_group : 0);
            const std::int64_t book = l.shared_codebook ? 0 : g;
            float w = 0;
            for (int r = 0; r < l.residual; ++r) {
                const int code =
                    m.mapping.data<std::uint8_t>()[(r * l.rows + i) * l.codes_per_row() + j / l.dimension];
                w +=
                    m.codebooks.data<float>()[((book * l.residual + r) * l.codewords() + code) * l.dimension +
                                              j % l.dimension];
            }
            if (m.scales.defined() || m.offsets.defined())
                w = w * (m.scales.defined() ? m.scales.data<float>()[g] : 1) +
                    (m.offsets.defined() ? m.offsets.data<float>()[g] : 0);
            for (std::size_t o = 0; o < m.outliers.column.size(); ++o) {
                const auto s = static_cast<std::int32_t>(o);
                if (m.outliers.column[o] == j && s >= m.outliers.row_start[static_cast<std::size_t>(i)] &&
                    s < m.outliers.row_start[static_cast<std::size_t>(i) + 1])
                    w += m.outliers.value[o];
            }
            out.data<float>()[row * l.cols + j] = w;
        }
    }
    return out;
}

void check_equal(const Tensor& a, const Tensor& b) {
    REQUIRE(a.shape() == b.shape());
    CHECK(std::equal(a.values<float>().begin(), a.values<float>().end(), b.values<float>().begin()));
}

}  // namespace

TEST_CASE("decode follows the definition for every kind of layout") {
    auto matrix = random_matrix(Layout::per_row(7, 12, 2), 1);
    matrix.validate("m");
    check_equal(decode(matrix), slow_decode(matrix));

    Layout runs = Layout::per_row(7, 12, 3);
    runs.row_groups = 2;
    runs.runs = {{0, 1}, {2, 0}, {5, 1}};
    runs.column_group = 8;
    matrix = random_matrix(runs, 2);
    matrix.row_order = {3, 1, 2, 0, 6, 5, 4};
    matrix.scales = Tensor::from<float>({4}, std::vector<float>{1, 2, 3, 4});
    matrix.offsets = Tensor::from<float>({4}, std::vector<float>{.1F, .2F, .3F, .4F});
    matrix.outliers = {{0, 2, 2, 2, 2, 2, 2, 3}, {0, 11, 5}, {100, -50, 25}};
    matrix.validate("m");
    check_equal(decode(matrix), slow_decode(matrix));

    Layout shared = runs;
    shared.shared_codebook = true;
    shared.dimension = 4;
    shared.residual = 3;
    matrix = random_matrix(shared, 3);
    matrix.scales = Tensor::from<float>({4}, std::vector<float>{1, 2, 3, 4});
    matrix.validate("m");
    check_equal(decode(matrix), slow_decode(matrix));
}

TEST_CASE("row orders are undone") {
    Tensor m = Tensor::from<float>({3, 2}, std::vector<float>{0, 1, 10, 11, 20, 21});
    const std::vector<std::int32_t> order{2, 0, 1};
    const Tensor stored = to_stored_order(m, order);
    CHECK(stored.data<float>()[0] == 20);
    check_equal(to_model_order(stored, order), m);
    check_equal(to_stored_order(m, {}), m);
}

TEST_CASE("validate refuses what does not hold, and names the tensor") {
    const auto good = random_matrix(Layout::per_row(3, 4, 2), 1);
    const auto refuses = [&](auto change) {
        auto bad = good.clone();
        change(bad);
        CHECK_THROWS_WITH(bad.validate("blk.0.q"), Catch::StartsWith("blk.0.q: "));
    };
    good.validate("blk.0.q");
    refuses([](auto& m) { m.mapping.template data<std::uint8_t>()[3] = 4; });
    refuses([](auto& m) { m.codebooks.template data<float>()[0] = 100; });
    refuses([](auto& m) { m.codebooks.template data<float>()[3] = std::numeric_limits<float>::quiet_NaN(); });
    refuses([](auto& m) { m.layout.bits = 0; });
    refuses([](auto& m) { m.layout.bits = 3; });
    refuses([](auto& m) { m.layout.row_groups = 2; });
    refuses([](auto& m) { m.layout.rows = 0; });
    refuses([](auto& m) { m.layout.dimension = 3; });
    refuses([](auto& m) { m.row_order = {0, 0, 1}; });
    refuses([](auto& m) { m.row_order = {0, 1}; });
    refuses([](auto& m) { m.scales = Tensor::zeros({2}); });
    refuses([](auto& m) { m.layout.runs = {{1, 0}}; });
    refuses([](auto& m) { m.layout.runs = {{0, 0}, {1, 3}}; });
    refuses([](auto& m) { m.layout.runs = {{0, 0}}; });
    refuses([](auto& m) { m.outliers = {{0, 1, 1, 1}, {4}, {1}}; });
    refuses([](auto& m) { m.outliers = {{0, 2, 2, 2}, {2, 1}, {1, 1}}; });
}

TEST_CASE("round_to_storage makes every value a float16 and refuses what does not fit") {
    auto m = random_matrix(Layout::per_row(3, 4, 2), 1);
    m.scales = Tensor::from<float>({3}, std::vector<float>{.1F, .2F, .3F});
    m.round_to_storage("m");
    for (const float v : m.codebooks.values<float>()) CHECK(v == float_from_f16(f16_from_float(v)));
    for (const float v : m.scales.values<float>()) CHECK(v == float_from_f16(f16_from_float(v)));
    m.codebooks.data<float>()[3] = 1e6F;
    CHECK_THROWS_WITH(m.round_to_storage("m"), Catch::Contains("float16"));
}

TEST_CASE("sorting codewords keeps the reconstruction and tells the former labels") {
    Layout layout = Layout::per_row(5, 16, 2);
    layout.residual = 2;
    auto m = random_matrix(layout, 4);
    CHECK_FALSE(sort_codewords(m).defined());
    const Rng rng(9, "shuffle");
    for (std::int64_t i = 0; i < m.codebooks.size(); ++i)
        m.codebooks.data<float>()[i] = static_cast<float>(rng.normal(static_cast<std::uint64_t>(i)));
    const Tensor before = decode(m);
    const auto old = m.clone();
    const Tensor former = sort_codewords(m);
    m.validate("m");
    check_equal(decode(m), before);
    for (std::int64_t i = 0; i < m.codebooks.size(); ++i)
        CHECK(m.codebooks.data<float>()[i] ==
              old.codebooks.data<float>()[i / 4 * 4 + former.data<std::uint8_t>()[i]]);
}

TEST_CASE("segments visit every weight once, in its group") {
    Layout runs = Layout::per_tensor(7, 10, 2);
    runs.row_groups = 3;
    runs.runs = {{0, 2}, {2, 0}, {3, 1}, {6, 2}};
    std::vector<Layout> layouts{Layout::per_row(5, 9, 2), Layout::per_tensor(3, 1, 4), runs};
    for (const std::int64_t width : {1, 3, 4, 9, 10}) {
        runs.column_group = width;
        layouts.push_back(runs);
        runs.shared_codebook = !runs.shared_codebook;
    }
    for (const Layout& layout : layouts) {
        layout.validate("m");
        const auto row_groups = layout.row_group_of_rows();
        const std::int64_t width = layout.column_group == 0 ? layout.cols : layout.column_group;
        const GroupMap groups = layout.group_map();
        CHECK(groups.groups() == layout.groups());
        std::int64_t next = 0;  // every weight in turn
        groups.for_each_segment([&](const Segment& segment) {
            CHECK(segment.first == next);
            for (std::int64_t j = segment.begin; j < segment.end; ++j, ++next) {
                CHECK(segment.row * layout.cols + j == next);
                CHECK(segment.group ==
                      row_groups[static_cast<std::size_t>(segment.row)] * layout.column_groups() + j / width);
                CHECK(groups.group(segment.row, groups.column_group(j)) == segment.group);
            }
        });
        CHECK(next == layout.rows * layout.cols);
    }
}

TEST_CASE("packing and unpacking are inverse for every width and length") {
    const Rng rng(1, "pack");
    for (int bits = 1; bits <= 8; ++bits) {
        for (const std::int64_t codes : {1, 2, 5, 15, 16, 31, 32, 33, 64, 127, 256, 257, 576, 1000, 1536}) {
            for (const std::int64_t rows : {1, 3}) {
                std::vector<std::uint8_t> map(static_cast<std::size_t>(rows * codes));
                for (std::size_t i = 0; i < map.size(); ++i)
                    map[i] = static_cast<std::uint8_t>(rng.bits(i) & ((1U << bits) - 1U));
                const auto lines = PackedLines::of(rows, codes, bits);
                std::vector<std::uint8_t> packed(static_cast<std::size_t>(lines.bytes(bits)), 0xff);
                std::vector<std::uint8_t> back(map.size(), 0xff);
                pack_codes(map, lines, bits, packed);
                unpack_codes(packed, lines, bits, back);
                CHECK(back == map);
                CHECK(lines.padding_bits(bits) >= 0);
                CHECK(lines.padding_bits(bits) < 4 * 32);
                if (codes % 32 == 0) CHECK(lines.padding_bits(bits) == 0);
            }
        }
    }
}

TEST_CASE("the packed layout is the documented one") {
    // 2 bits, 576 codes: two blocks of 256 (16 words) and one of 64 (4 words).
    std::vector<std::uint8_t> map(576, 0);
    map[256 + 5 * 16 + 3] = 2;  // block 1, shift step 5, lane 3
    map[512 + 7 * 4 + 1] = 1;   // last block: 4 lanes
    const auto lines = PackedLines::of(1, 576, 2);
    std::vector<std::uint8_t> packed(144);
    REQUIRE(lines.bytes(2) == 144);
    pack_codes(map, lines, 2, packed);
    const auto word = [&](std::size_t i) {
        return static_cast<std::uint32_t>(packed[4 * i]) |
               static_cast<std::uint32_t>(packed[4 * i + 1]) << 8 |
               static_cast<std::uint32_t>(packed[4 * i + 2]) << 16 |
               static_cast<std::uint32_t>(packed[4 * i + 3]) << 24;
    };
    for (std::size_t i = 0; i < 36; ++i) {
        std::uint32_t expected = 0;
        if (i == 16 + 3) expected = 2U << 10;
        if (i == 32 + 1) expected = 1U << 14;
        CHECK(word(i) == expected);
    }
    // 3 bits: a plane of the two low bits, then a plane of the high ones.
    std::vector<std::uint8_t> three(32, 0);
    three[1] = 5;
    std::vector<std::uint8_t> packed3(12);
    pack_codes(three, PackedLines::of(1, 32, 3), 3, packed3);
    CHECK(packed3[4] == 1);  // low plane: 2 words, code 1 in lane 1
    CHECK(packed3[8] == 2);  // high plane: 1 word, one lane, code 1 at bit 1
}
