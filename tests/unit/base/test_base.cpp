#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/half.hpp"
#include "core/base/hash.hpp"
#include "core/base/log.hpp"
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
