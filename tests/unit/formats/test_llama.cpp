#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/gguf_families.hpp"
#include "core/formats/json.hpp"
#include "core/formats/llama.hpp"
#include "core/formats/rope_config.hpp"

#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

using nlohmann::json;

namespace {

const jlcm::GgufFamily& llama = jlcm::gguf_families().front();

json small_config() {
    return {{"model_type", "llama"},  {"hidden_size", 24},        {"intermediate_size", 40},
            {"num_hidden_layers", 2}, {"num_attention_heads", 4}, {"vocab_size", 50}};
}

json with(json config, const char* key, json value) {
    config[key] = std::move(value);
    return config;
}

}  // namespace

TEST_CASE("a llama configuration is completed with Hugging Face's defaults") {
    const json config = jlcm::complete_config(small_config());
    REQUIRE(config["num_key_value_heads"] == 4);
    REQUIRE(config["head_dim"] == 6);
    REQUIRE(config["rms_norm_eps"] == 1e-6);
    REQUIRE(config["rope_theta"] == 10000.0);
    REQUIRE(config["rope_scaling"].is_null());
    REQUIRE(config["max_position_embeddings"] == 2048);
    REQUIRE(config["tie_word_embeddings"] == false);
    REQUIRE(jlcm::complete_config(config) == config);
    const json parameters{{"rope_theta", 5e5}, {"rope_type", "linear"}, {"factor", 2.0}};
    const json newer = jlcm::complete_config(with(small_config(), "rope_parameters", parameters));
    REQUIRE(newer["rope_theta"] == 5e5);
    REQUIRE(newer["rope_scaling"] == json{{"rope_type", "linear"}, {"factor", 2.0}});
}

TEST_CASE("what a llama configuration can't say is refused by name") {
    const auto refusal = [](const char* key, json value) {
        try {
            (void)jlcm::complete_config(with(small_config(), key, std::move(value)));
        } catch (const jlcm::Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    REQUIRE_THAT(refusal("model_type", "falcon"), Catch::Contains("'falcon' is not supported"));
    REQUIRE_THAT(refusal("model_type", 3), Catch::Contains("model_type"));
    REQUIRE_THAT(refusal("hidden_act", "gelu"), Catch::Contains("gelu"));
    REQUIRE_THAT(refusal("hidden_size", -1), Catch::Contains("'hidden_size' is -1"));
    REQUIRE_THAT(refusal("hidden_size", 1e300), Catch::Contains("hidden_size"));
    REQUIRE_THAT(refusal("hidden_size", "24"), Catch::Contains("hidden_size"));
    REQUIRE_THAT(refusal("hidden_size", nullptr), Catch::Contains("'hidden_size' is missing"));
    REQUIRE_THAT(refusal("hidden_size", 25), Catch::Contains("not a multiple"));
    REQUIRE_THAT(refusal("num_hidden_layers", 1000000000), Catch::Contains("num_hidden_layers"));
    REQUIRE_THAT(refusal("num_key_value_heads", 3), Catch::Contains("share"));
    REQUIRE_THAT(refusal("head_dim", 5), Catch::Contains("even"));
    REQUIRE_THAT(refusal("rms_norm_eps", 0), Catch::Contains("rms_norm_eps"));
    REQUIRE_THAT(refusal("rope_scaling", {{"rope_type", "dynamic"}, {"factor", 4.0}}),
                 Catch::Contains("'dynamic'"));
    REQUIRE_THAT(refusal("rope_scaling", {{"rope_type", "longrope"}, {"factor", 4.0}}),
                 Catch::Contains("'longrope'"));
    REQUIRE_THAT(refusal("rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}, {"beta_slow", 32}}),
                 Catch::Contains("beta_slow"));
    REQUIRE_THAT(refusal("partial_rotary_factor", 0.5), Catch::Contains("partial_rotary_factor"));
    REQUIRE_THAT(refusal("partial_rotary_factor", 1.5), Catch::Contains("at most 1"));
    REQUIRE_THAT(refusal("rope_scaling", {{"type", "linear"}}), Catch::Contains("factor"));
    REQUIRE_THAT(refusal("rope_scaling", 3), Catch::Contains("rope_scaling"));
    REQUIRE_THAT(refusal("quantization_config", json::object()), Catch::Contains("quantization_config"));
    REQUIRE_THAT(refusal("sliding_window", 4096), Catch::Contains("sliding_window"));
    REQUIRE_THAT(refusal("tie_word_embeddings", "yes"), Catch::Contains("tie_word_embeddings"));
    REQUIRE_THROWS_AS(jlcm::complete_config(json::array()), jlcm::Error);
}

TEST_CASE("a configuration's problems are named together") {
    json config = small_config();
    config["hidden_act"] = "gelu";
    config["quantization_config"] = {{"quant_method", "gptq"}};
    config["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", -1}};
    config.erase("intermediate_size");
    config["num_key_value_heads"] = 3;
    try {
        (void)jlcm::complete_config(config);
        FAIL("it was taken");
    } catch (const jlcm::Error& error) {
        CHECK(error.kind() == jlcm::ErrorKind::input);
        const std::string text = error.what();
        for (const char* part :
             {"8 problems", "'hidden_act' is 'gelu'", "'quantization_config'", "'rope_scaling.factor' is -1",
              "'rope_scaling.low_freq_factor' is missing", "'rope_scaling.high_freq_factor' is missing",
              "'rope_scaling.original_max_position_embeddings' is missing", "'intermediate_size' is missing",
              "cannot share 3"})
            CHECK_THAT(text, Catch::Contains(part));
    }
    // Nothing in JSON makes more than an input error, in our words.
    for (const char* type : {"llama", "mistral", "qwen2", "qwen3", "olmo2", "gemma2", "gemma3_text", "phi3",
                             "gpt_neox", "mixtral", "qwen3_moe", "gpt2", "opt", "bert"}) {
        const json whole = {{"model_type", type},      {"hidden_size", 32}, {"intermediate_size", 40},
                            {"num_hidden_layers", 2},  {"vocab_size", 50},  {"num_attention_heads", 4},
                            {"num_key_value_heads", 4}};
        json odd_values =
            json::array({nullptr, true, -1, 0, 2.5, 1e300, "x", json::array({1}), json::object()});
        const json complete = jlcm::complete_config(whole);
        for (const auto& [key, value] : complete.items())
            for (const json& odd : odd_values) {
                CAPTURE(type, key, odd.dump());
                try {
                    (void)jlcm::transformer_config(with(whole, key.c_str(), odd));
                } catch (const jlcm::Error& error) {
                    CHECK(error.kind() == jlcm::ErrorKind::input);
                    CHECK_THAT(error.what(), !Catch::Contains("json.exception"));
                }
            }
    }
}

TEST_CASE("yarn and long rope are completed with the numbers that they go by") {
    json config = small_config();
    config["max_position_embeddings"] = 8192;
    config["rope_scaling"] = {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 2048}};
    const json yarn = jlcm::complete_config(config);
    CHECK(yarn["rope_scaling"]["beta_fast"] == 32.0);
    CHECK(yarn["rope_scaling"]["attention_factor"].get<double>() == Approx(1.1386294361));
    CHECK(jlcm::complete_config(yarn) == yarn);

    config["model_type"] = "phi3";
    config["rope_scaling"] = {{"type", "su"},
                              {"short_factor", {1, 1, 1}},
                              {"long_factor", {1, 2, 4}},
                              {"original_max_position_embeddings", 2048}};
    const json phi3 = jlcm::complete_config(config);
    CHECK(phi3["original_max_position_embeddings"] == 2048);
    CHECK(jlcm::complete_config(phi3) == phi3);
    CHECK(jlcm::rotary_scaling(phi3).magnitude == Approx(1.0871).epsilon(1e-4));
    config["rope_scaling"]["long_factor"] = {1, 2};
    CHECK_THROWS_WITH(jlcm::complete_config(config), Catch::Contains("rope_scaling.long_factor"));
    config["rope_scaling"] = {{"type", "su"}, {"short_factor", {1, 1, 1}}, {"long_factor", {1, 2, 4}}};
    CHECK(jlcm::complete_config(config)["original_max_position_embeddings"] == 4096);
}

TEST_CASE("layers that attend to a window are those that the configuration says") {
    const auto windows = [](const char* type, json more) {
        json config = small_config();
        config["model_type"] = type;
        config["num_hidden_layers"] = 3;
        config["head_dim"] = 6;
        config.update(more);
        return jlcm::transformer_config(config).local_layers;
    };
    using List = std::vector<bool>;
    CHECK(windows("mistral", {{"num_key_value_heads", 4}}) == List{true, true, true});
    CHECK(windows("mistral", {{"num_key_value_heads", 4}, {"sliding_window", nullptr}}).empty());
    CHECK(windows("qwen2", {{"use_sliding_window", false}, {"sliding_window", 8}}).empty());
    CHECK(windows("qwen3", {{"use_sliding_window", true}, {"max_window_layers", 2}}) ==
          List{false, false, true});
    CHECK(windows("gemma2", json::object()) == List{true, false, true});
    CHECK(windows("gemma3_text", {{"sliding_window_pattern", 3}}) == List{true, true, false});
    const json types{"full_attention", "sliding_attention", "full_attention"};
    CHECK(windows("gemma3_text", {{"layer_types", types}}) == List{false, true, false});
    CHECK_THROWS_WITH(windows("qwen3", {{"layer_types", types}}), Catch::Contains("sliding_window"));
    CHECK_THROWS_WITH(windows("gemma2", {{"layer_types", {"chunked_attention", "", ""}}}),
                      Catch::Contains("chunked_attention"));
    // Also in families that have one window for all layers.
    for (const char* type : {"mistral", "mixtral", "phi3", "qwen3_moe"}) {
        INFO(type);
        const json sizes{{"num_key_value_heads", 4}, {"sliding_window", 8}, {"use_sliding_window", true}};
        const auto with_types = [&](json list) {
            json more = sizes;
            more["layer_types"] = std::move(list);
            return windows(type, more);
        };
        CHECK(with_types(types) == List{false, true, false});
        CHECK(with_types(nullptr) == List{true, true, true});
        CHECK_THROWS_WITH(with_types({"sliding_attention"}), Catch::Contains("list of 3 strings"));
        CHECK_THROWS_WITH(with_types(3), Catch::Contains("list of 3 strings"));
        CHECK_THROWS_WITH(with_types({1, 2, 3}), Catch::Contains("layer_types"));
    }
}

TEST_CASE("a Gemma that attends in both directions is refused") {
    for (const char* type : {"gemma2", "gemma3_text"}) {
        json config = with(small_config(), "model_type", type);
        config["head_dim"] = 6;
        config["num_key_value_heads"] = 4;
        CHECK_NOTHROW(jlcm::complete_config(with(config, "use_bidirectional_attention", false)));
        CHECK_THROWS_WITH(jlcm::complete_config(with(config, "use_bidirectional_attention", true)),
                          Catch::Contains("use_bidirectional_attention"));
    }
}

TEST_CASE("every tensor of a llama model has one name in each format") {
    json config = small_config();
    config["attention_bias"] = true;
    config["mlp_bias"] = true;
    const auto tensors = jlcm::model_tensors(jlcm::complete_config(config));
    REQUIRE(tensors.size() == 3 + 2 * (2 + 7 * 2));
    for (const auto& tensor : tensors) {
        CAPTURE(tensor.name);
        REQUIRE_FALSE(jlcm::gguf_name(tensor.name, llama).empty());
        REQUIRE(jlcm::huggingface_name(jlcm::gguf_name(tensor.name, llama), llama) == tensor.name);
    }
    REQUIRE(jlcm::huggingface_name("blk.7.ffn_down.weight", llama) == "model.layers.7.mlp.down_proj.weight");
    for (const auto* unknown : {"", "blk.", "blk..attn_q.weight", "blk.x.attn_q.weight", "blk.1.attn_q",
                                "blk.1.attn_q.scale", "blk.1.ffn_gate_exps.weight", "rope_freqs.weight"})
        REQUIRE(jlcm::huggingface_name(unknown, llama).empty());
}

TEST_CASE("rotary rows: GGUF has side by side what Hugging Face has half a head apart") {
    // One head of 6: Hugging Face's rows a0 a1 a2 b0 b1 b2 are a0 b0 a1 b1 a2 b2 in GGUF.
    REQUIRE(jlcm::rotary_rows_in_gguf(6, 6) == std::vector<std::int64_t>{0, 2, 4, 1, 3, 5});
    REQUIRE(jlcm::rotary_rows_in_huggingface(6, 6) == std::vector<std::int64_t>{0, 3, 1, 4, 2, 5});
    const auto there = jlcm::rotary_rows_in_gguf(3 * 64, 64);
    const auto back = jlcm::rotary_rows_in_huggingface(3 * 64, 64);
    for (std::size_t i = 0; i < there.size(); ++i)
        REQUIRE(there[static_cast<std::size_t>(back[i])] == static_cast<std::int64_t>(i));
    REQUIRE_THROWS_AS(jlcm::rotary_rows_in_gguf(10, 6), jlcm::Error);
}

TEST_CASE("llama3 scaling divides low rotary frequencies and keeps high ones") {
    // Llama 3.1 8B: factors of rope_freqs.weight, by the rule of Transformers evaluated in Python.
    json config = small_config();
    config["head_dim"] = 128;
    config["rope_theta"] = 500000.0;
    REQUIRE(jlcm::rotary_frequency_factors(jlcm::complete_config(config)).empty());
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", 8.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192}};
    const auto factors = jlcm::rotary_frequency_factors(jlcm::complete_config(config));
    REQUIRE(factors.size() == 64);
    REQUIRE(factors[0] == 1.0F);
    REQUIRE(factors[28] == 1.0F);
    REQUIRE(factors[29] == Approx(1.207483871).epsilon(1e-6));
    REQUIRE(factors[32] == Approx(2.694529688).epsilon(1e-6));
    REQUIRE(factors[35] == 8.0F);
    REQUIRE(factors[63] == 8.0F);
}

TEST_CASE("JSON from files is strict") {
    REQUIRE(jlcm::parse_json(R"({"a": [1, {"b": null}]})")["a"][0] == 1);
    REQUIRE_THROWS_WITH(jlcm::parse_json(R"({"a": 1, "a": 2})"), Catch::Contains("'a' appears twice"));
    REQUIRE_THROWS_WITH(jlcm::parse_json(R"({"a": {"a": 1}, "b": {"a": 1, "a": 2}})"),
                        Catch::Contains("twice"));
    REQUIRE_THROWS_AS(jlcm::parse_json(""), jlcm::Error);
    REQUIRE_THROWS_AS(jlcm::parse_json("{} x"), jlcm::Error);
    REQUIRE_THROWS_AS(jlcm::parse_json("\"\xff\""), jlcm::Error);
    REQUIRE_THROWS_WITH(jlcm::parse_json("{\"a\": -Infinity}"), Catch::Contains("line 1, column") &&
                                                                    Catch::Contains("Infinity is Python's") &&
                                                                    !Catch::Contains("json.exception"));
    REQUIRE_THROWS_WITH(jlcm::parse_json(std::string(100000, '[')), Catch::Contains("deeper than 64"));
}
