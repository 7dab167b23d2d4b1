#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"
#include "core/tensor/encoding.hpp"
#include "core/tensor/non_finite.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <catch2/catch.hpp>

using jlcm::Encoding;

namespace {

constexpr std::array every_encoding{Encoding::f32,  Encoding::f16,  Encoding::bf16, Encoding::q4_0,
                                    Encoding::q4_1, Encoding::q5_0, Encoding::q5_1, Encoding::q8_0,
                                    Encoding::q2_k, Encoding::q3_k, Encoding::q4_k, Encoding::q5_k,
                                    Encoding::q6_k, Encoding::u8,   Encoding::i32};

std::vector<float> normal_values(std::int64_t count) {
    const jlcm::Rng rng(7, "values");
    std::vector<float> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.normal(i));
    return values;
}

}  // namespace

TEST_CASE("every encoding has a name that parses back") {
    for (const Encoding encoding : every_encoding) {
        REQUIRE(jlcm::parse_encoding(jlcm::name_of(encoding)) == encoding);
        REQUIRE(jlcm::block_values(encoding) >= 1);
        REQUIRE(jlcm::block_bytes(encoding) >= 1);
    }
    REQUIRE(jlcm::parse_encoding("q6_k") == Encoding::q6_k);
    REQUIRE_THROWS_WITH(jlcm::parse_encoding("q9"), Catch::Contains("'q9'") && Catch::Contains("Q4_1"));
}

TEST_CASE("sizes of encoded tensors are checked") {
    REQUIRE(jlcm::encoded_bytes(Encoding::q4_1, {3, 64}) == 3 * 2 * 20);
    REQUIRE(jlcm::encoded_bytes(Encoding::f16, {}) == 2);
    REQUIRE(jlcm::encoded_bytes(Encoding::f32, {0, 5}) == 0);
    REQUIRE_THROWS_AS(jlcm::encoded_bytes(Encoding::q4_1, {3, 65}), jlcm::Error);
    REQUIRE_THROWS_AS(jlcm::encoded_bytes(Encoding::f32, {-1, 4}), jlcm::Error);
    constexpr std::int64_t huge = std::int64_t{1} << 62;
    REQUIRE_THROWS_AS(jlcm::encoded_bytes(Encoding::f32, {huge, huge}), jlcm::Error);
    REQUIRE_THROWS_AS(jlcm::encoded_bytes(Encoding::f32, {huge}), jlcm::Error);
    REQUIRE_THROWS_AS(jlcm::encoded_bytes(Encoding::q4_1, {0, 65}), jlcm::Error);
}

TEST_CASE("rows decoded one by one equal the whole, at any alignment and thread count") {
    constexpr std::int64_t rows = 37;
    constexpr std::int64_t cols = 96 * 32;
    const auto values = normal_values(rows * cols);
    const auto encoding = GENERATE(Encoding::f32, Encoding::f16, Encoding::bf16, Encoding::q8_0);
    auto bytes = jlcm::encode(values, encoding);
    bytes.insert(bytes.begin(), std::byte{0});  // an odd address
    const jlcm::StoredTensor stored{{"w", {rows, cols}, encoding}, std::span(bytes).subspan(1)};
    const auto whole = jlcm::decode(stored);
    REQUIRE(whole.shape() == jlcm::Shape{rows, cols});
    std::vector<float> part(5 * cols);
    jlcm::decode_rows(stored, 11, 16, part.data());
    REQUIRE(std::equal(part.begin(), part.end(), whole.data<float>() + 11 * cols));
    const int threads = jlcm::thread_count();
    jlcm::set_thread_count(1);
    const auto alone = jlcm::decode(stored);
    jlcm::set_thread_count(threads);
    REQUIRE(std::equal(alone.values<float>().begin(), alone.values<float>().end(), whole.data<float>()));
    REQUIRE(jlcm::encode(values, encoding) == std::vector<std::byte>(bytes.begin() + 1, bytes.end()));
}

TEST_CASE("decoding and encoding again is the identity for plain floats and Q8_0") {
    const auto values = normal_values(64 * 32);
    const auto encoding = GENERATE(Encoding::f32, Encoding::f16, Encoding::bf16, Encoding::q8_0);
    const auto bytes = jlcm::encode(values, encoding);
    const auto decoded = jlcm::decode({{"w", {64, 32}, encoding}, bytes});
    REQUIRE(jlcm::encode(decoded.values<float>(), encoding) == bytes);
}

TEST_CASE("Q8_0 errs by at most half a step and refuses what it cannot hold") {
    const auto values = normal_values(320);
    const auto bytes = jlcm::encode(values, Encoding::q8_0);
    const auto decoded = jlcm::decode({{"w", {320}, Encoding::q8_0}, bytes});
    for (std::size_t block = 0; block < 10; ++block) {
        float magnitude = 0;
        for (std::size_t i = 0; i < 32; ++i)
            magnitude = std::max(magnitude, std::fabs(values[32 * block + i]));
        for (std::size_t i = 32 * block; i < 32 * block + 32; ++i)
            REQUIRE(std::fabs(decoded.data<float>()[i] - values[i]) <= magnitude / 127 * 0.57F);
    }
    std::vector<float> bad(32, 1.0F);
    for (const float wrong :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e7F}) {
        bad[9] = wrong;
        REQUIRE_THROWS_AS(jlcm::encode(bad, Encoding::q8_0), jlcm::Error);
    }
    bad.assign(32, std::numeric_limits<float>::denorm_min());
    const auto tiny = jlcm::encode(bad, Encoding::q8_0);
    REQUIRE(jlcm::decode({{"w", {32}, Encoding::q8_0}, tiny}).data<float>()[0] == 0);
    REQUIRE_THROWS_AS(jlcm::encode(bad, Encoding::q4_1), jlcm::Error);
}

TEST_CASE("rows of an encoded tensor can be reordered without decoding") {
    constexpr std::int64_t rows = 12;
    const auto encoding = GENERATE(Encoding::f32, Encoding::f16, Encoding::q8_0);
    const auto bytes = jlcm::encode(normal_values(rows * 64), encoding);
    const jlcm::StoredTensor stored{{"w", {rows, 64}, encoding}, bytes};
    const auto order = jlcm::Rng(3, "order").permutation(rows);
    const auto reordered = jlcm::permute_rows(stored, order);
    const auto before = jlcm::decode(stored);
    const auto after = jlcm::decode({{"w", {rows, 64}, encoding}, reordered});
    for (std::int64_t row = 0; row < rows; ++row)
        REQUIRE(std::equal(after.data<float>() + row * 64, after.data<float>() + (row + 1) * 64,
                           before.data<float>() + order[static_cast<std::size_t>(row)] * 64));
    std::vector<std::int64_t> twice(rows, 0);
    REQUIRE_THROWS_AS(jlcm::permute_rows(stored, twice), jlcm::Error);
    REQUIRE_THROWS_AS(jlcm::permute_rows(stored, std::vector<std::int64_t>{0, 1}), jlcm::Error);
}

TEST_CASE("integers are not decoded to weights, and empty tensors are empty") {
    const std::vector<std::byte> bytes(8);
    REQUIRE_THROWS_AS(jlcm::decode({{"codes", {8}, Encoding::u8}, bytes}), jlcm::Error);
    REQUIRE(jlcm::decode({{"none", {0, 32}, Encoding::q4_1}, {}}).size() == 0);
    REQUIRE(jlcm::encode({}, Encoding::q8_0).empty());
}

TEST_CASE("NaN and infinity are found in every encoding, as decoding finds them") {
    for (const Encoding encoding : every_encoding) {
        if (encoding == Encoding::u8 || encoding == Encoding::i32) continue;
        const std::int64_t cols = 3 * jlcm::block_values(encoding);
        bool had_any = false;
        bool had_none = false;
        for (std::uint64_t seed = 0; seed < 300; ++seed) {
            // Random bytes: every exponent and every scale comes up.
            const jlcm::Rng rng(seed, "bytes");
            std::vector<std::byte> bytes(jlcm::encoded_bytes(encoding, {2, cols}));
            for (std::size_t i = 0; i < bytes.size(); ++i)
                bytes[i] = static_cast<std::byte>(rng.bits(i) & 0xffU);
            jlcm::StoredTensor stored;
            stored.shape = {2, cols};
            stored.encoding = encoding;
            stored.bytes = bytes;
            jlcm::NonFinite expected;
            const jlcm::Tensor decoded = jlcm::decode(stored);
            for (std::int64_t i = 0; i < decoded.size(); ++i) {
                const float value = decoded.data<float>()[i];
                if (std::isfinite(value)) continue;
                if (expected.first < 0) expected.first = i;
                ++(std::isnan(value) ? expected.nans : expected.infinities);
            }
            const jlcm::NonFinite found = jlcm::find_non_finite(stored);
            REQUIRE(found.first == expected.first);
            REQUIRE(found.nans == expected.nans);
            REQUIRE(found.infinities == expected.infinities);
            (found.any() ? had_any : had_none) = true;
        }
        INFO(jlcm::name_of(encoding));
        CHECK(had_any);
        CHECK((had_none || encoding == Encoding::f16));
    }
    jlcm::StoredTensor empty;
    empty.shape = {0, 5};
    CHECK_FALSE(jlcm::find_non_finite(empty).any());
}

TEST_CASE("what is not finite is described by count and place") {
    CHECK(describe(jlcm::NonFinite{1, 0, 7}, {9}) == "1 NaN among 9 values, the first at index 7");
    CHECK(describe(jlcm::NonFinite{2, 1, 7}, {3, 5}) ==
          "2 NaN and 1 infinity among 15 values, the first at row 1, column 2");
    CHECK(describe(jlcm::NonFinite{0, 4, 30}, {2, 3, 2, 4}) ==
          "4 infinities among 48 values, the first at [1, 0, 1, 2]");
}
