#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/formats/gguf.hpp"
#include "tests/support/mutation.hpp"
#include "tests/support/temporary.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include <catch2/catch.hpp>

using jlcm::Encoding;
using jlcm::GgufMetadata;
using jlcm::GgufType;
using jlcm::GgufValue;
using jlcm::TensorInfo;
using jlcm::test::Bytes;

namespace {

GgufValue scalar(GgufType type, nlohmann::json value) {
    return {type, GgufType::u32, std::move(value)};
}
GgufValue array(GgufType element, nlohmann::json values) {
    return {GgufType::array, element, std::move(values)};
}

GgufMetadata every_type() {
    return {
        {"u8", scalar(GgufType::u8, 255)},
        {"i8", scalar(GgufType::i8, -128)},
        {"u16", scalar(GgufType::u16, 65535)},
        {"i16", scalar(GgufType::i16, -32768)},
        {"u32", scalar(GgufType::u32, 4294967295U)},
        {"i32", scalar(GgufType::i32, -2147483647)},
        {"f32", scalar(GgufType::f32, 0.1F)},
        {"flag", scalar(GgufType::boolean, true)},
        {"text", scalar(GgufType::string, "Grüße, 世界 \U0001F600")},
        {"u64", scalar(GgufType::u64, 18446744073709551615U)},
        {"i64", scalar(GgufType::i64, -9007199254740993)},
        {"f64", scalar(GgufType::f64, 1e-300)},
        {"words", array(GgufType::string, {"", "a", "bc"})},
        {"numbers", array(GgufType::i32, {1, -2, 3})},
        {"none", array(GgufType::f32, nlohmann::json::array())},
    };
}

const std::vector<TensorInfo> two_tensors{{"a.weight", {2, 32}, Encoding::q8_0}, {"b", {3}, Encoding::f32}};

Bytes written(const GgufMetadata& metadata, const std::vector<TensorInfo>& tensors) {
    const jlcm::test::TemporaryDirectory directory;
    const auto path = directory.path() / "x.gguf";
    auto file = jlcm::begin_gguf(path, metadata, tensors);
    for (const auto& tensor : tensors)
        file.write_values(
            std::vector<float>(static_cast<std::size_t>(jlcm::element_count(tensor.shape)), 1.5F));
    file.commit();
    const jlcm::MappedFile mapped(path);
    return {mapped.bytes().begin(), mapped.bytes().end()};
}

void parse(std::span<const std::byte> bytes) {
    (void)jlcm::parse_gguf(bytes);
}

std::string message(const Bytes& bytes) {
    try {
        parse(bytes);
    } catch (const jlcm::Error& error) {
        return error.what();
    }
    return "";
}

template <class T>
void put(Bytes& bytes, std::size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
}

/// Where `text` first lies in the bytes.
std::size_t find(const Bytes& bytes, const std::string& text) {
    const auto* begin = reinterpret_cast<const char*>(bytes.data());  // NOLINT: bytes as text
    return static_cast<std::size_t>(std::search(begin, begin + bytes.size(), text.begin(), text.end()) -
                                    begin);
}

}  // namespace

TEST_CASE("GGUF metadata and tensors survive a round trip") {
    const auto bytes = written(every_type(), two_tensors);
    const auto gguf = jlcm::parse_gguf(bytes);
    REQUIRE(gguf.version == 3);
    REQUIRE(gguf.metadata.size() == every_type().size());
    for (const auto& [key, value] : every_type()) {
        CAPTURE(key);
        const auto& found = gguf.metadata.at(key);
        REQUIRE(found.type == value.type);
        REQUIRE(found.element == value.element);
        REQUIRE(found.value == value.value);
    }
    REQUIRE(gguf.tensors.size() == 2);
    REQUIRE(gguf.tensors[0].name == "a.weight");
    REQUIRE(gguf.tensors[0].shape == jlcm::Shape{2, 32});
    REQUIRE(gguf.tensors[0].encoding == Encoding::q8_0);
    REQUIRE(jlcm::decode(gguf.tensors[1]).data<float>()[2] == 1.5F);
    REQUIRE(written(every_type(), two_tensors) == bytes);
}

TEST_CASE("a GGUF file without tensors or metadata is valid") {
    const auto gguf = jlcm::parse_gguf(written({}, {}));
    REQUIRE(gguf.metadata.empty());
    REQUIRE(gguf.tensors.empty());
}

TEST_CASE("a GGUF file cut anywhere before its last tensor's end is refused") {
    const auto bytes = written(every_type(), two_tensors);
    const std::size_t padding = 32 - 3 * sizeof(float);
    REQUIRE(jlcm::test::accepted_prefixes(parse, Bytes(bytes.begin(), bytes.end() - padding)) == 0);
}

TEST_CASE("damage to a GGUF header is named") {
    const auto good = written({{"k", scalar(GgufType::u32, 7)}}, two_tensors);
    auto bytes = good;
    SECTION("another format") {
        put(bytes, 0, 'X');
        REQUIRE_THAT(message(bytes), Catch::Contains("not a GGUF file"));
    }
    SECTION("versions") {
        put<std::uint32_t>(bytes, 4, 1);
        REQUIRE_THAT(message(bytes), Catch::Contains("version 1"));
        put<std::uint32_t>(bytes, 4, 0x03000000);
        REQUIRE_THAT(message(bytes), Catch::Contains("big-endian"));
        put<std::uint32_t>(bytes, 4, 2);
        REQUIRE(message(bytes).empty());
    }
    SECTION("huge counts need no memory") {
        put<std::uint64_t>(bytes, 8, std::uint64_t{1} << 60);
        REQUIRE_THAT(message(bytes), Catch::Contains("number of tensors"));
        bytes = good;
        put<std::uint64_t>(bytes, 16, ~std::uint64_t{0});
        REQUIRE_THAT(message(bytes), Catch::Contains("number of metadata entries"));
        bytes = good;
        put<std::uint64_t>(bytes, 24, ~std::uint64_t{0});
        REQUIRE_THAT(message(bytes), Catch::Contains("a metadata key"));
    }
    SECTION("types of metadata") {
        put<std::uint32_t>(bytes, find(good, "k") + 1, 13);
        REQUIRE_THAT(message(bytes), Catch::Contains("'k'") && Catch::Contains("13"));
    }
    const std::size_t info = find(good, "a.weight") + 8;  // rank, two lengths, type, offset
    SECTION("rank") {
        put<std::uint32_t>(bytes, info, 5);
        REQUIRE_THAT(message(bytes), Catch::Contains("'a.weight' has 5 dimensions"));
        put<std::uint32_t>(bytes, info, 0);
        REQUIRE_THAT(message(bytes), Catch::Contains("0 dimensions"));
    }
    SECTION("lengths") {
        put<std::int64_t>(bytes, info + 4, -32);
        REQUIRE_THAT(message(bytes), Catch::Contains("a dimension is -32"));
        put<std::int64_t>(bytes, info + 4, 33);
        REQUIRE_THAT(message(bytes), Catch::Contains("Q8_0 needs rows of a multiple of 32"));
        put<std::int64_t>(bytes, info + 4, std::int64_t{1} << 40);
        REQUIRE_THAT(message(bytes), Catch::Contains("beyond the end of the file"));
        put<std::int64_t>(bytes, info + 4, std::int64_t{1} << 62);
        REQUIRE_THAT(message(bytes), Catch::Contains("too large"));
    }
    SECTION("types of tensors, by name and number") {
        put<std::uint32_t>(bytes, info + 20, 16);
        REQUIRE_THAT(message(bytes), Catch::Contains("IQ2_XXS") && Catch::Contains("16"));
        put<std::uint32_t>(bytes, info + 20, 4);
        REQUIRE_THAT(message(bytes), Catch::Contains("unknown type number 4"));
    }
    SECTION("offsets") {
        put<std::uint64_t>(bytes, info + 24, 8);
        REQUIRE_THAT(message(bytes), Catch::Contains("not a multiple of 32"));
        put<std::uint64_t>(bytes, info + 24, ~std::uint64_t{31});
        REQUIRE_THAT(message(bytes), Catch::Contains("beyond the end of the file"));
        put<std::uint64_t>(bytes, info + 24, 32);
        REQUIRE_THAT(message(bytes), Catch::Contains("overlap"));
    }
}

TEST_CASE("GGUF names must be unique, text valid UTF-8, alignment a power of two") {
    REQUIRE_THAT(message(written({{"k", scalar(GgufType::u32, 1)}, {"k", scalar(GgufType::u32, 2)}}, {})),
                 Catch::Contains("'k' appears twice"));
    REQUIRE_THAT(message(written({}, {two_tensors[0], two_tensors[0]})),
                 Catch::Contains("'a.weight' appears twice"));
    for (const auto* text : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xb8", "a\x80"})
        REQUIRE_THAT(message(written({{"k", scalar(GgufType::string, text)}}, {})), Catch::Contains("UTF-8"));
    for (const std::uint32_t alignment : {0U, 3U, 1U << 31})
        REQUIRE_THAT(message(written({{"general.alignment", scalar(GgufType::u32, alignment)}}, {})),
                     Catch::Contains("general.alignment"));
    REQUIRE_THAT(message(written({{"general.alignment", scalar(GgufType::string, "32")}}, {})),
                 Catch::Contains("general.alignment"));
}

TEST_CASE("random damage to a GGUF file never does more than raise an error") {
    const auto bytes = written(every_type(), two_tensors);
    const std::size_t header = find(bytes, "b") + 40;
    REQUIRE(jlcm::test::mutate(parse, bytes, std::min(header, bytes.size()), 5000) > 2500);
}

TEST_CASE("a writer that isn't given every tensor leaves no file") {
    const jlcm::test::TemporaryDirectory directory;
    const auto path = directory.path() / "x.gguf";
    {
        auto file = jlcm::begin_gguf(path, {}, two_tensors);
        file.write_values(std::vector<float>(64, 1.0F));
        REQUIRE_THROWS_AS(file.commit(), jlcm::Error);
        REQUIRE_THROWS_AS(file.write_values(std::vector<float>(4, 1.0F)), jlcm::Error);
    }
    REQUIRE(std::filesystem::is_empty(directory.path()));
    REQUIRE_THROWS_WITH(jlcm::begin_gguf(path, {}, {{"codes", {4}, Encoding::u8}}), Catch::Contains("U8"));
}
