// Gemma 2 and 3: norms of what attention and MLP read and add, local and global attention, scaled embeddings.
#include "core/formats/architecture.hpp"
#include "core/formats/decoder_config.hpp"

#include <cmath>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr const char* score_width = "query_pre_attn_scalar";
constexpr const char* score_cap = "attn_logit_softcapping";
constexpr const char* logit_cap = "final_logit_softcapping";

/// A cap, or null: without one. `otherwise`: of a configuration without the key.
void complete_cap(ConfigReader& config, const char* key, const json& otherwise) {
    if (config.has(key)) {
        config.positive(key);
    } else if (!config.config().contains(key)) {
        config.config()[key] = otherwise;
    }
}

double cap_of(const json& config, const char* key) {
    return config.at(key).is_null() ? 0.0 : config.at(key).get<double>();
}

DecoderKeys gemma_keys() {
    return {.key_value_heads = 4,
            .head_dim = 256,
            .positions = 8192,
            .tied_head = true,
            .activation = "hidden_activation",
            .activations = {"gelu_pytorch_tanh"}};
}

/// Every `pattern`th layer is global. `pattern` is a key of older configurations.
void complete_gemma(ConfigReader& config, std::int64_t pattern) {
    config.integer(score_width, 256);
    const std::int64_t every = config.integer("sliding_window_pattern", pattern);
    complete_window(config, 4096, [&](std::int64_t layer) { return every > 0 && (layer + 1) % every != 0; });
    config.flag("attention_bias");
    config.require_flag("use_bidirectional_attention", false, "only decoders are read");
}

void complete_gemma2(ConfigReader& config) {
    complete_decoder(config, gemma_keys());
    complete_cap(config, score_cap, 50.0);
    complete_cap(config, logit_cap, 30.0);
    complete_gemma(config, 2);
}

/// rope_parameters of newer configurations: one object for each kind of layer.
void merge_rope_parameters(ConfigReader& config) {
    if (!config.has("rope_parameters")) return;
    const json given = config.config().at("rope_parameters");
    if (!given.is_object() || !has_key(given, "sliding_attention") || !has_key(given, "full_attention"))
        return;
    const json& local = given.at("sliding_attention");
    if (local.is_object()) {
        if (has_key(local, "rope_theta")) config.config()["rope_local_base_freq"] = local.at("rope_theta");
        if (has_key(local, "rope_type") && local.at("rope_type") != "default")
            config.problem(
                "'rope_parameters.sliding_attention.rope_type' is {}: not supported, only \"default\"",
                local.at("rope_type").dump());
    }
    config.config()["rope_parameters"] = given.at("full_attention");
}

void complete_gemma3(ConfigReader& config) {
    merge_rope_parameters(config);
    DecoderKeys keys = gemma_keys();
    keys.positions = 131072;
    keys.rotary_base = 1e6;
    complete_decoder(config, keys);
    config.positive("rope_local_base_freq", 10000.0);
    if (config.has(score_cap))
        config.problem("'{}' is {}: not supported; models of this family have null", score_cap,
                       config.config().at(score_cap).dump());
    complete_cap(config, logit_cap, nullptr);
    complete_gemma(config, 6);
}

TransformerConfig lower_gemma(const json& config) {
    TransformerConfig result = lower_decoder(config);
    lower_window(config, result);
    result.activation = Unary::gelu_tanh;
    result.query_bias = result.output_bias = config.at("attention_bias");
    result.norm_place = NormPlace::around;
    result.norm_offset = 1;
    result.embedding_scale = std::sqrt(static_cast<double>(result.hidden_size));
    result.attention_scale = 1.0 / std::sqrt(config.at(score_width).get<double>());
    result.head_soft_cap = cap_of(config, logit_cap);
    result.names.attention_out_norm = "post_attention_layernorm";
    result.names.mlp_norm = "pre_feedforward_layernorm";
    result.names.mlp_out_norm = "post_feedforward_layernorm";
    return result;
}

TransformerConfig lower_gemma2(const json& config) {
    TransformerConfig result = lower_gemma(config);
    result.attention_soft_cap = cap_of(config, score_cap);
    return result;
}

TransformerConfig lower_gemma3(const json& config) {
    TransformerConfig result = lower_gemma(config);
    result.query_norm = QueryNorm::heads;
    result.local_rotary_base = config.at("rope_local_base_freq");
    return result;
}

}  // namespace

const Architecture gemma2_architecture{"gemma2", complete_gemma2, lower_gemma2, decoder_tensor_name};
const Architecture gemma3_architecture{"gemma3_text", complete_gemma3, lower_gemma3, decoder_tensor_name};

}  // namespace jlcm
