// Llama, and the families that differ from it by biases, windows and norms of queries and keys.
#include "core/formats/architecture.hpp"
#include "core/formats/decoder_config.hpp"

namespace jlcm {
namespace {

using nlohmann::json;

void complete_llama(ConfigReader& config) {
    if (config.has("sliding_window"))
        config.problem("'sliding_window' is {}: not supported; remove the key if no text is longer than that",
                       config.config().at("sliding_window").dump());
    complete_decoder(config);
    for (const char* key : {"attention_bias", "mlp_bias"}) config.flag(key);
}

TransformerConfig lower_llama(const json& config) {
    TransformerConfig result = lower_decoder(config);
    result.query_bias = config.at("attention_bias");
    result.output_bias = config.at("attention_bias");
    result.mlp_bias = config.at("mlp_bias");
    return result;
}

void complete_mistral(ConfigReader& config) {
    complete_decoder(config, {.key_value_heads = 8, .positions = 131072});
    complete_window(config, 4096);
}

TransformerConfig lower_mistral(const json& config) {
    TransformerConfig result = lower_decoder(config);
    lower_window(config, result);
    return result;
}

/// Layers from max_window_layers on attend to a window, if use_sliding_window.
void complete_qwen_windows(ConfigReader& config) {
    const bool has_windows = config.flag("use_sliding_window");
    if (!has_windows) config.config()["sliding_window"] = nullptr;
    json& windowed = config.config()["max_window_layers"];
    if (!windowed.is_number_integer() || windowed < 0) {
        if (!windowed.is_null())
            config.problem("'max_window_layers' is {}: expected a whole number", windowed.dump());
        windowed = 28;
    }
    const auto first = windowed.get<std::int64_t>();
    complete_window(config, 4096, [&](std::int64_t layer) {
        return has_windows && config.has("sliding_window") && layer >= first;
    });
}

void complete_qwen2(ConfigReader& config) {
    complete_decoder(config, {.positions = 32768});
    complete_qwen_windows(config);
}

TransformerConfig lower_qwen2(const json& config) {
    TransformerConfig result = lower_mistral(config);
    result.query_bias = true;
    return result;
}

void complete_qwen3(ConfigReader& config) {
    complete_decoder(config, {.head_dim = 128, .positions = 32768});
    complete_qwen_windows(config);
    config.flag("attention_bias");
}

TransformerConfig lower_qwen3(const json& config) {
    TransformerConfig result = lower_mistral(config);
    result.query_bias = result.output_bias = config.at("attention_bias");
    result.query_norm = QueryNorm::heads;
    return result;
}

void complete_olmo2(ConfigReader& config) {
    complete_decoder(config, {.norm_epsilon = 1e-5});
    config.flag("attention_bias");
}

TransformerConfig lower_olmo2(const json& config) {
    TransformerConfig result = lower_decoder(config);
    result.query_bias = result.output_bias = config.at("attention_bias");
    result.query_norm = QueryNorm::width;
    result.norm_place = NormPlace::added;
    result.names.attention_out_norm = "post_attention_layernorm";
    result.names.mlp_out_norm = "post_feedforward_layernorm";
    return result;
}

}  // namespace

const Architecture llama_architecture{"llama", complete_llama, lower_llama, decoder_tensor_name};
const Architecture mistral_architecture{"mistral", complete_mistral, lower_mistral, decoder_tensor_name};
const Architecture qwen2_architecture{"qwen2", complete_qwen2, lower_qwen2, decoder_tensor_name};
const Architecture qwen3_architecture{"qwen3", complete_qwen3, lower_qwen3, decoder_tensor_name};
const Architecture olmo2_architecture{"olmo2", complete_olmo2, lower_olmo2, decoder_tensor_name};

}  // namespace jlcm
