// The encodings against the values of ggml's Python package: tests/golden/make_dequant.py.

#include "core/base/files.hpp"
#include "core/formats/safetensors.hpp"
#include "core/tensor/encoding.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include <catch2/catch.hpp>

using jlcm::Encoding;

namespace {

struct Golden {
    jlcm::MappedFile file{JLCM_SOURCE_DIR "/tests/golden/dequant.safetensors"};
    std::map<std::string, jlcm::StoredTensor> tensors;
    Golden() {
        for (const auto& tensor : jlcm::parse_safetensors(file.bytes()).tensors)
            tensors[tensor.name] = tensor;
    }
};

}  // namespace

TEST_CASE("decoding gives the reference's floats, bit for bit") {
    const Golden golden;
    const auto name = GENERATE(as<std::string>{}, "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
                               "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K");
    CAPTURE(name);
    const auto expected = jlcm::decode(golden.tensors.at(name + ".values"));
    const jlcm::StoredTensor stored{{name, {expected.size()}, jlcm::parse_encoding(name)},
                                    golden.tensors.at(name + ".blocks").bytes};
    const auto decoded = jlcm::decode(stored);
    for (std::int64_t i = 0; i < expected.size(); ++i) {
        CAPTURE(i);
        REQUIRE(decoded.data<float>()[i] == expected.data<float>()[i]);
    }
    REQUIRE(std::memcmp(decoded.bytes().data(), expected.bytes().data(), expected.byte_count()) == 0);
}

TEST_CASE("encoding gives the reference's bytes") {
    const Golden golden;
    const auto values = jlcm::decode(golden.tensors.at("encode.values"));
    const auto name = GENERATE(as<std::string>{}, "Q8_0", "F16", "BF16");
    CAPTURE(name);
    const auto expected = golden.tensors.at("encode." + name).bytes;
    const auto encoded = jlcm::encode(values.values<float>(), jlcm::parse_encoding(name));
    REQUIRE(std::equal(encoded.begin(), encoded.end(), expected.begin(), expected.end()));
}
