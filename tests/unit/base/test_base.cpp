#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/half.hpp"
#include "core/base/hash.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/base/portable_sha256.hpp"
#include "core/base/rng.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

namespace fs = std::filesystem;

TEST_CASE("SHA-256 gives the published digest of 'abc'") {
    REQUIRE(jlcm::sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("SHA-256 of our own is that of the library, however the bytes come") {
    const jlcm::Rng rng(1, "bytes");
    std::vector<std::byte> bytes;
    for (std::uint64_t i = 0; i < 300; ++i) bytes.push_back(static_cast<std::byte>(rng.bits(i) & 0xffU));
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        const std::span all(bytes.data(), size);
        jlcm::PortableSha256 own;
        own.update(all.first(size / 3));
        own.update(all.subspan(size / 3));
        std::string text;
        for (const std::uint8_t byte : own.finish()) text += fmt::format("{:02x}", byte);
        INFO(size << " bytes");
        CHECK(text == jlcm::sha256(all));
    }
}

TEST_CASE("random streams are reproducible and apart") {
    const jlcm::Rng a(1, "data");
    const jlcm::Rng b(1, "init");
    REQUIRE(a.bits(5) == jlcm::Rng(1, "data").bits(5));
    REQUIRE(a.bits(5) != b.bits(5));
    double mean = 0;
    double square = 0;
    constexpr int n = 20000;
    for (int i = 0; i < n; ++i) {
        const double value = a.normal(static_cast<std::uint64_t>(i));
        mean += value / n;
        square += value * value / n;
    }
    REQUIRE(std::abs(mean) < 0.03);
    REQUIRE(std::abs(square - 1) < 0.05);
}

TEST_CASE("a permutation holds every index once") {
    const auto order = jlcm::Rng(3, "order").permutation(257);
    std::vector<bool> seen(order.size());
    for (const auto i : order) seen.at(static_cast<std::size_t>(i)) = true;
    REQUIRE(std::count(seen.begin(), seen.end(), true) == 257);
}

TEST_CASE("16-bit floats round trip and round to nearest even") {
    for (int bits = 0; bits < 0x7c00; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        REQUIRE(jlcm::f16_from_float(jlcm::float_from_f16(half)) == half);
    }
    REQUIRE(jlcm::float_from_bf16(jlcm::bf16_from_float(1.0F + 0x1p-8F)) == 1.0F);
    REQUIRE(jlcm::float_from_bf16(jlcm::bf16_from_float(1.0F + 0x3p-8F)) == 1.0F + 0x1p-6F);
    REQUIRE(
        std::isnan(jlcm::float_from_bf16(jlcm::bf16_from_float(std::numeric_limits<float>::quiet_NaN()))));
}

TEST_CASE("an atomic file appears only when committed") {
    const fs::path directory = fs::temp_directory_path() / "jlcm_test_atomic";
    fs::remove_all(directory);
    const fs::path path = directory / "deep" / "file.txt";
    {
        jlcm::AtomicFile file(path);
        file.write("half");
    }
    REQUIRE_FALSE(fs::exists(path));
    REQUIRE(fs::is_empty(path.parent_path()));
    jlcm::write_file(path, "whole");
    REQUIRE(jlcm::read_file(path) == "whole");
    fs::remove_all(directory);
}

TEST_CASE("a missing file is an input error that names the path") {
    try {
        (void)jlcm::read_file("/nowhere/model.gguf");
        FAIL("no error");
    } catch (const jlcm::Error& error) {
        REQUIRE(error.exit_code() == 2);
        REQUIRE_THAT(error.what(), Catch::Contains("/nowhere/model.gguf"));
    }
}

TEST_CASE("durations read well") {
    REQUIRE(jlcm::format_duration(4.24) == "4.2 s");
    REQUIRE(jlcm::format_duration(200) == "3 min 20 s");
    REQUIRE(jlcm::format_duration(3725) == "1 h 02 min");
}

TEST_CASE("integers are read from JSON where they are integers and fit") {
    using nlohmann::json;
    const auto read = [](const char* text) { return json::parse(text); };
    CHECK(read("-5").get<std::int32_t>() == -5);
    CHECK(read("7.0").get<int>() == 7);
    CHECK(read("18446744073709551615").get<std::uint64_t>() == std::numeric_limits<std::uint64_t>::max());
    CHECK(read("-9223372036854775808").get<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
    CHECK(read("[1, 2]").get<std::vector<std::int64_t>>() == std::vector<std::int64_t>{1, 2});
    CHECK(read("true").get<bool>());
    CHECK(read("1e300").get<double>() == 1e300);
    for (const char* text : {"2147483648", "-2147483649", "1e300", "-1e300", "0.5", "9223372036854775808"})
        CHECK_THROWS_AS(read(text).get<std::int32_t>(), json::out_of_range);
    CHECK_THROWS_AS(read("-1").get<std::size_t>(), json::out_of_range);
    CHECK_THROWS_AS(read("256").get<std::uint8_t>(), json::out_of_range);
    CHECK_THROWS_AS(read("[1, 1e300]").get<std::vector<std::int64_t>>(), json::out_of_range);
    for (const char* text : {"\"5\"", "null", "[5]", "true"})
        CHECK_THROWS_AS(read(text).get<std::int32_t>(), json::type_error);
    CHECK(json(std::uint8_t{5}).dump() == "5");
}
