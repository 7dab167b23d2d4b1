// What the metadata of GGUF files mean as configurations: llama.cpp's defaults, and damage.
#include "core/formats/architecture.hpp"
#include "core/formats/gguf_families.hpp"
#include "core/formats/rope_config.hpp"

#include <map>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using nlohmann::json;

constexpr std::uint64_t beyond = 18446744073709551615U;

/// Metadata of a small model and `more`, under the architecture's prefix.
Gguf small_gguf(const std::string& architecture, const std::map<std::string, json>& more = {}) {
    Gguf gguf;
    gguf.metadata["general.architecture"] = {GgufType::string, GgufType::u32, architecture};
    const bool is_neox = architecture == "gptneox";
    const char* epsilon = is_neox ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
    std::map<std::string, json> all{{"block_count", 2},          {"context_length", 8192},
                                    {"embedding_length", 24},    {"feed_forward_length", 40},
                                    {"attention.head_count", 4}, {epsilon, 1e-6}};
    if (is_neox) all["rope.dimension_count"] = 2;
    for (const auto& [key, value] : more) all[key] = value;
    for (const auto& [key, value] : all)
        gguf.metadata[fmt::format("{}.{}", architecture, key)] = {GgufType::f64, GgufType::u32, value};
    StoredTensor& embedding = gguf.tensors.emplace_back();
    embedding.name = "token_embd.weight";
    embedding.shape = {50, 24};
    return gguf;
}

/// The configuration; the problems in its place if there are any.
json config_of(const Gguf& gguf) {
    ProblemList problems;
    json config = config_from_gguf(gguf, problems);
    return problems.count() > 0 ? json(problems.text()) : config;
}

std::vector<bool> local_layers(const json& config) {
    return transformer_config(config).local_layers;
}

}  // namespace

TEST_CASE("what a GGUF file leaves out is as llama.cpp has it") {
    for (const char* family : {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "gptneox", "olmo2"})
        CHECK(config_of(small_gguf(family)).at("rope_theta") == 10000.0);
    CHECK(config_of(small_gguf("gptneox", {{"rope.freq_base", 500.0}})).at("rotary_emb_base") == 500.0);
    CHECK(local_layers(config_of(small_gguf("gemma2"))) == std::vector{true, false});
    for (const char* family : {"gemma2", "gemma3", "phi3"}) {
        CHECK(local_layers(config_of(small_gguf(family, {{"attention.sliding_window", 0}}))).empty());
        CHECK(!local_layers(config_of(small_gguf(family, {{"attention.sliding_window", 8}}))).empty());
    }
}

TEST_CASE("a GGUF file's long rope has the magnitude and the context that it says") {
    const std::vector<float> factors{1, 2, 4};
    const auto phi3 = [&](const std::map<std::string, json>& more) {
        Gguf gguf = small_gguf("phi3", more);
        for (const char* name : {"rope_factors_short.weight", "rope_factors_long.weight"}) {
            StoredTensor& tensor = gguf.tensors.emplace_back();
            tensor.name = name;
            tensor.shape = {3};
            tensor.encoding = Encoding::f32;
            tensor.bytes = std::as_bytes(std::span(factors));
        }
        return rotary_scaling(config_of(gguf));
    };
    CHECK(phi3({}).magnitude == 1.0);
    CHECK(phi3({}).original_context == 8192);
    const RotaryScaling scaling =
        phi3({{"rope.scaling.attn_factor", 1.25}, {"rope.scaling.original_context_length", 2048}});
    CHECK(scaling.magnitude == 1.25);
    CHECK(scaling.original_context == 2048);
    CHECK(scaling.long_factors == std::vector<double>{1, 2, 4});
    CHECK(config_of(small_gguf("phi3", {{"rope.scaling.attn_factor", 1.0}})).is_object());
    CHECK_THAT(config_of(small_gguf("phi3", {{"rope.scaling.attn_factor", 1.25}})).get<std::string>(),
               Catch::Contains("phi3.rope.scaling.attn_factor"));
}

TEST_CASE("damaged numbers in a GGUF file are problems of any family") {
    for (const char* family :
         {"llama", "qwen2", "qwen3", "qwen3moe", "gemma2", "gemma3", "phi3", "gptneox", "olmo2"})
        for (const char* key : {"rope.freq_base", "embedding_length", "attention.head_count", "block_count",
                                "attention.key_length", "attention.layer_norm_rms_epsilon"})
            for (const json& value : {json(-1), json(0), json(beyond), json(1e300), json("x")}) {
                CAPTURE(family, key, value.dump());
                CHECK_NOTHROW(config_of(small_gguf(family, {{key, value}})));
            }
    CHECK_THAT(config_of(small_gguf("gptneox", {{"rope.freq_base", -1}})).get<std::string>(),
               Catch::Contains("rotary_emb_base"));
}
