// Llama, and Qwen2, which is a Llama with biases on queries, keys and values.
#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/config_keys.hpp"
#include "core/formats/llama.hpp"

#include <set>
#include <string>

namespace jlcm {
namespace {

using nlohmann::json;

RotaryScaling rotary_scaling(const json& config) {
    RotaryScaling scaling;
    const json& given = config.at("rope_scaling");
    if (given.is_null()) return scaling;
    scaling.factor = given.at("factor").get<double>();
    if (given.at("rope_type") == "linear") {
        scaling.kind = RotaryScaling::Kind::linear;
        return scaling;
    }
    scaling.kind = RotaryScaling::Kind::llama3;
    scaling.low_frequency_factor = given.at("low_freq_factor").get<double>();
    scaling.high_frequency_factor = given.at("high_freq_factor").get<double>();
    scaling.original_context = given.at("original_max_position_embeddings").get<double>();
    return scaling;
}

TransformerConfig lower_rotary(const json& config) {
    TransformerConfig result;
    result.hidden_size = config.at("hidden_size");
    result.intermediate_size = config.at("intermediate_size");
    result.layers = config.at("num_hidden_layers");
    result.query_heads = config.at("num_attention_heads");
    result.key_heads = config.at("num_key_value_heads");
    result.head_dim = config.at("head_dim");
    result.vocabulary = config.at("vocab_size");
    result.norm_epsilon = config.at("rms_norm_eps");
    result.rotary_base = config.at("rope_theta");
    result.rotary_scaling = rotary_scaling(config);
    result.tied_head = config.at("tie_word_embeddings");
    return result;
}

TransformerConfig lower_llama(const json& config) {
    TransformerConfig result = lower_rotary(config);
    result.query_bias = config.at("attention_bias");
    result.output_bias = config.at("attention_bias");
    result.mlp_bias = config.at("mlp_bias");
    return result;
}

constexpr const char* without_windows =
    "set it so if no text is longer than the window, or choose a model that attends to everything";

void complete_llama(ConfigReader& config) {
    if (config.has("sliding_window"))
        config.problem("'sliding_window' is {}: not supported; remove the key if no text is longer than that",
                       config.config().at("sliding_window").dump());
    complete_rotary(config);
    for (const char* key : {"attention_bias", "mlp_bias"}) config.flag(key);
}

void complete_qwen2(ConfigReader& config) {
    config.require_flag("use_sliding_window", false, without_windows);
    if (config.has("layer_types")) {
        std::set<std::string> others;
        for (const json& type : config.config().at("layer_types"))
            if (type != "full_attention") others.insert(type.dump());
        if (!others.empty())
            config.problem("'layer_types' has {}: not supported, only \"full_attention\"; {}",
                           fmt::join(others, ", "), without_windows);
    }
    complete_rotary(config);
}

TransformerConfig lower_qwen2(const json& config) {
    TransformerConfig result = lower_rotary(config);
    result.query_bias = true;
    return result;
}

/// Without buffers of old versions, and a head that is the embedding.
std::string name_in_model(const std::string& stored, const json& config) {
    const bool is_redundant = stored.ends_with(".rotary_emb.inv_freq") ||
                              (stored == "lm_head.weight" && config.at("tie_word_embeddings").get<bool>());
    return is_redundant ? "" : stored;
}

}  // namespace

const Architecture llama_architecture{"llama", complete_llama, lower_llama, name_in_model};
const Architecture qwen2_architecture{"qwen2", complete_qwen2, lower_qwen2, name_in_model};

}  // namespace jlcm
