#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/formats/safetensors.hpp"
#include "tests/support/mutation.hpp"
#include "tests/support/temporary.hpp"

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using jlcm::Encoding;
using jlcm::TensorInfo;
using jlcm::test::Bytes;

namespace {

const std::map<std::string, std::string> some_metadata{{"format", "pt"},
                                                       {"weird \"key\"", "line\nbreak 世界"}};
const std::vector<TensorInfo> some_tensors{{"f", {2, 3}, Encoding::f32}, {"i", {2}, Encoding::i32},
                                           {"h", {5}, Encoding::f16},    {"none", {0, 7}, Encoding::f32},
                                           {"b", {}, Encoding::bf16},    {"codes", {3}, Encoding::u8}};

Bytes written() {
    const jlcm::test::TemporaryDirectory directory;
    const auto path = directory.path() / "x.safetensors";
    auto file = jlcm::begin_safetensors(path, some_metadata, some_tensors);
    for (const auto& tensor : some_tensors)
        file.write(Bytes(jlcm::encoded_bytes(tensor.encoding, tensor.shape), std::byte{0x3c}));
    file.commit();
    const jlcm::MappedFile mapped(path);
    return {mapped.bytes().begin(), mapped.bytes().end()};
}

/// A file of this header and `data` bytes.
Bytes with_header(const std::string& header, std::size_t data) {
    Bytes bytes(8 + header.size() + data);
    const std::uint64_t size = header.size();
    std::memcpy(bytes.data(), &size, sizeof size);
    std::memcpy(bytes.data() + 8, header.data(), header.size());
    return bytes;
}

void parse(std::span<const std::byte> bytes) {
    (void)jlcm::parse_safetensors(bytes);
}

std::string message(const std::string& header, std::size_t data) {
    try {
        parse(with_header(header, data));
    } catch (const jlcm::Error& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("safetensors metadata and tensors survive a round trip, with the same bytes each time") {
    const auto bytes = written();
    REQUIRE(bytes == written());
    const auto file = jlcm::parse_safetensors(bytes);
    REQUIRE(file.metadata == some_metadata);
    REQUIRE(file.tensors.size() == some_tensors.size());
    for (std::size_t i = 0; i < some_tensors.size(); ++i) {
        REQUIRE(file.tensors[i].name == some_tensors[i].name);
        REQUIRE(file.tensors[i].shape == some_tensors[i].shape);
        REQUIRE(file.tensors[i].encoding == some_tensors[i].encoding);
    }
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    REQUIRE(header % 8 == 0);
}

TEST_CASE("a safetensors file cut anywhere is refused") {
    REQUIRE(jlcm::test::accepted_prefixes(parse, written()) == 0);
}

TEST_CASE("faults of a safetensors header are named") {
    const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    REQUIRE(message(good, 8).empty());
    REQUIRE(message(good + "   ", 8).empty());
    REQUIRE(message("{}", 0).empty());
    REQUIRE_THAT(message("[]", 0), Catch::Contains("start with '{'"));
    REQUIRE_THAT(message("{", 0), Catch::Contains("not valid JSON"));
    REQUIRE_THAT(message("{\"\xff\":1}", 0), Catch::Contains("not valid JSON"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[[[[2]]]],"data_offsets":[0,8]}})", 8),
                 Catch::Contains("deeper"));
    REQUIRE_THAT(message(std::string(1, '{') + R"("a":)" + std::string(100000, '['), 0),
                 Catch::Contains("deeper"));
    REQUIRE_THAT(message(good, 9), Catch::Contains("1 bytes follow"));
    REQUIRE_THAT(message(good, 7), Catch::Contains("truncated"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", 16),
                 Catch::Contains("gap"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8),
                 Catch::Contains("offsets"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                             "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                         12),
                 Catch::Contains("overlap"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                             "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                         8),
                 Catch::Contains("'a' appears twice"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})", 8),
                 Catch::Contains("'a'") && Catch::Contains("F8_E4M3"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"Q8_0","shape":[32],"data_offsets":[0,34]}})", 34),
                 Catch::Contains("Q8_0"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
                 Catch::Contains("expected 12"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8),
                 Catch::Contains("[-2]") || Catch::Contains("-2"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8),
                 Catch::Contains("whole"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8),
                 Catch::Contains("too large"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})", 8),
                 Catch::Contains("negative") || Catch::Contains("too large"));
    REQUIRE_THAT(message(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8),
                 Catch::Contains("exactly"));
    REQUIRE_THAT(message(R"({"a":3})", 0), Catch::Contains("exactly"));
    REQUIRE_THAT(message(R"({"__metadata__":{"a":1}})", 0), Catch::Contains("not a string"));
    REQUIRE_THAT(message(R"({"__metadata__":[]})", 0), Catch::Contains("not an object"));
}

TEST_CASE("a safetensors header larger than the file or the format allows is refused before it is read") {
    Bytes bytes(64);
    for (const std::uint64_t size : {std::uint64_t{57}, std::uint64_t{200'000'000}, ~std::uint64_t{0}}) {
        std::memcpy(bytes.data(), &size, sizeof size);
        REQUIRE(jlcm::test::refuses(parse, bytes));
    }
}

TEST_CASE("random damage to a safetensors file never does more than raise an error") {
    const auto bytes = written();
    REQUIRE(jlcm::test::mutate(parse, bytes, bytes.size() - 40, 4000) > 2000);
}

TEST_CASE("safetensors can't hold block encodings or a name twice") {
    const jlcm::test::TemporaryDirectory directory;
    const auto path = directory.path() / "x.safetensors";
    REQUIRE_THROWS_WITH(jlcm::begin_safetensors(path, {}, {{"a", {32}, Encoding::q8_0}}),
                        Catch::Contains("Q8_0"));
    REQUIRE_THROWS_WITH(jlcm::begin_safetensors(path, {}, {some_tensors[0], some_tensors[0]}),
                        Catch::Contains("'f' is taken"));
    REQUIRE(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("tensors that are left out may be of any type, but not beyond the file") {
    const auto left_out = [](const std::string& name) { return name == "ids"; };
    const std::string header =
        R"({"ids":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"w":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}})";
    const auto file = jlcm::parse_safetensors(with_header(header, 20), left_out);
    REQUIRE(file.tensors.size() == 1);
    REQUIRE(file.tensors[0].name == "w");
    REQUIRE_THROWS_WITH(jlcm::parse_safetensors(with_header(header, 20)), Catch::Contains("'I64'"));
    REQUIRE_THROWS_AS(jlcm::parse_safetensors(with_header(header, 12), left_out), jlcm::Error);
}
