#include "core/formats/decoder_config.hpp"

#include <algorithm>
#include <set>

namespace jlcm {

using nlohmann::json;

namespace {

/// A list of one kind per layer. `is_local`: if there is none.
void complete_layer_types(ConfigReader& config, const std::function<bool(std::int64_t layer)>& is_local) {
    const json& count = config.config().at("num_hidden_layers");
    const auto layers = count.is_number_integer() ? count.get<std::int64_t>() : 0;
    json types = json::array();
    if (!config.has("layer_types")) {
        for (std::int64_t layer = 0; layer < layers; ++layer)
            types.push_back(is_local(layer) ? "sliding_attention" : "full_attention");
    } else {
        types = config.config().at("layer_types");
        if (!types.is_array() || std::ssize(types) != layers) {
            config.problem("'layer_types' is no list of {} strings, one per layer", layers);
            types = json::array();
        }
    }
    std::set<std::string> others;
    bool has_local = false;
    for (const json& type : types) {
        has_local = has_local || type == "sliding_attention";
        if (type != "full_attention" && type != "sliding_attention") others.insert(type.dump());
    }
    if (!others.empty())
        config.problem(
            "'layer_types' has {}: not supported, only \"full_attention\" and \"sliding_attention\"; choose another "
            "model",
            fmt::join(others, ", "));
    if (has_local && !config.has("sliding_window"))
        config.problem(
            "'layer_types' has \"sliding_attention\", but 'sliding_window' says no number of tokens; take the "
            "config.json that belongs to these weights");
    config.config()["layer_types"] = std::move(types);
}

}  // namespace

void complete_decoder(ConfigReader& config, const DecoderKeys& keys) {
    split_rope_parameters(config);
    const auto hidden = config.integer("hidden_size");
    const auto heads = config.integer("num_attention_heads");
    const auto key_value_heads =
        config.integer("num_key_value_heads", keys.key_value_heads > 0 ? keys.key_value_heads : heads);
    config.integer("num_hidden_layers", {}, most_config_layers);
    config.integer("intermediate_size");
    config.integer("vocab_size");
    config.integer("max_position_embeddings", keys.positions);
    if (key_value_heads > 0 && heads % key_value_heads != 0)
        config.problem("{} attention heads cannot share {} key-value heads", heads, key_value_heads);
    const bool is_shared = !config.has("head_dim") && keys.head_dim == 0;
    if (is_shared) config.require_whole_heads(hidden, heads);
    const auto head_dim = config.integer("head_dim", is_shared && heads > 0 ? hidden / heads : keys.head_dim);
    if (head_dim % 2 != 0)
        config.problem("'head_dim' is {}: rotary embedding needs an even number", head_dim);
    config.positive("rms_norm_eps", keys.norm_epsilon);
    std::int64_t turned = head_dim;
    if (keys.partial_rotary || config.has("partial_rotary_factor"))
        turned = complete_turned(config, "partial_rotary_factor", 1.0, head_dim);
    if (!keys.partial_rotary && turned > 0 && turned != head_dim)
        config.problem("'partial_rotary_factor' is {}: not supported; choose a model whose heads turn whole",
                       config.config().at("partial_rotary_factor").dump());
    complete_rope(config, keys.rotary_base, keys.rope_kinds, turned / 2);
    config.flag("tie_word_embeddings", keys.tied_head);
    config.one_of(
        keys.activation, keys.activations,
        keys.activations.size() > 1 ? "choose a model with one of these" : "choose a model with this one");
}

TransformerConfig lower_decoder(const json& config) {
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

void complete_window(ConfigReader& config, std::int64_t otherwise,
                     const std::function<bool(std::int64_t layer)>& is_local) {
    constexpr const char* key = "sliding_window";
    if (config.has(key)) {
        config.integer(key);
    } else if (!config.config().contains(key) && otherwise > 0) {
        config.config()[key] = otherwise;
    } else {
        config.config()[key] = nullptr;
    }
    if (is_local || config.has("layer_types")) {
        complete_layer_types(config, is_local);
    } else {
        config.config().erase("layer_types");
    }
}

void lower_window(const json& config, TransformerConfig& result) {
    if (config.at("sliding_window").is_null()) return;
    std::vector<bool> local;
    for (std::int64_t layer = 0; layer < result.layers; ++layer)
        local.push_back(!config.contains("layer_types") ||
                        config.at("layer_types").at(static_cast<std::size_t>(layer)) == "sliding_attention");
    if (std::ranges::find(local, true) == local.end()) return;
    result.window = config.at("sliding_window");
    result.local_layers = std::move(local);
}

std::string decoder_tensor_name(const std::string& stored, const json& config) {
    const bool is_redundant = stored.ends_with(".rotary_emb.inv_freq") ||
                              (stored == "lm_head.weight" && config.at("tie_word_embeddings").get<bool>());
    return is_redundant ? "" : stored;
}

}  // namespace jlcm
