// GPT-NeoX, of which Pythia is: attention and MLP side by side, heads that turn in part.
#include "core/formats/architecture.hpp"
#include "core/formats/rope_config.hpp"

namespace jlcm {
namespace {

using nlohmann::json;

std::int64_t head_dim_of(const json& config) {
    return config.at("hidden_size").get<std::int64_t>() /
           config.at("num_attention_heads").get<std::int64_t>();
}

void complete(ConfigReader& config) {
    split_rope_parameters(config);
    const auto hidden = config.integer("hidden_size", 6144);
    const auto heads = config.integer("num_attention_heads", 64);
    config.require_whole_heads(hidden, heads);
    config.integer("num_hidden_layers", 44, most_config_layers);
    config.integer("intermediate_size", 24576);
    config.integer("vocab_size", 50432);
    config.integer("max_position_embeddings", 2048);
    config.positive("layer_norm_eps", 1e-5);
    // Newer configurations name these as other families do.
    for (const auto& [old, now] :
         {std::pair{"rotary_pct", "partial_rotary_factor"}, {"rotary_emb_base", "rope_theta"}})
        if (!config.has(old) && config.has(now)) config.config()[old] = config.config().at(now);
    const auto turned = complete_turned(config, "rotary_pct", 0.25, heads > 0 ? hidden / heads : 0);
    const double base = config.positive("rotary_emb_base", 10000.0);
    config.config()["rope_theta"] = base;
    if (base > 0) complete_rope(config, base, common_rope_kinds, turned / 2);
    config.flag("use_parallel_residual", true);
    config.flag("attention_bias", true);
    config.flag("tie_word_embeddings");
    config.one_of("hidden_act", {"gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu"},
                  "choose a model with one of these");
}

TransformerConfig lower(const json& config) {
    const auto head_dim = head_dim_of(config);
    TransformerConfig result;
    result.hidden_size = config.at("hidden_size");
    result.intermediate_size = config.at("intermediate_size");
    result.layers = config.at("num_hidden_layers");
    result.query_heads = result.key_heads = config.at("num_attention_heads");
    result.head_dim = head_dim;
    result.vocabulary = config.at("vocab_size");
    result.norm = NormKind::layer;
    result.norm_epsilon = config.at("layer_norm_eps");
    result.rotary_base = config.at("rope_theta");
    result.rotary_scaling = rotary_scaling(config);
    result.turned = turned_features(config, "rotary_pct", head_dim);
    result.parallel = config.at("use_parallel_residual");
    result.query_bias = result.output_bias = config.at("attention_bias");
    result.mlp_bias = true;
    result.gated = false;
    const json& activation = config.at("hidden_act");
    result.activation =
        activation == "gelu" ? Unary::gelu : (activation == "relu" ? Unary::relu : Unary::gelu_tanh);
    result.tied_head = config.at("tie_word_embeddings");
    TransformerNames& names = result.names;
    names.tokens = "gpt_neox.embed_in";
    names.layers = "gpt_neox.layers";
    names.query = "attention.query_key_value.query";
    names.key = "attention.query_key_value.key";
    names.value = "attention.query_key_value.value";
    names.output = "attention.dense";
    names.up = "mlp.dense_h_to_4h";
    names.down = "mlp.dense_4h_to_h";
    names.final_norm = "gpt_neox.final_layer_norm";
    names.head = "embed_out";
    return result;
}

/// Without the buffers of old versions, and a head that is the embedding.
std::string name_in_model(const std::string& stored, const json& config) {
    for (const char* buffer : {".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"})
        if (stored.ends_with(buffer)) return "";
    const bool is_embedding = stored == "embed_out.weight" && config.at("tie_word_embeddings").get<bool>();
    return is_embedding ? "" : stored;
}

/// Of each head the queries, then its keys, then its values.
std::vector<Fusion> fused(const json& config) {
    const auto width = config.at("hidden_size").get<std::int64_t>();
    return {{"attention.query_key_value",
             {{"query", width}, {"key", width}, {"value", width}},
             config.at("num_attention_heads").get<std::int64_t>()}};
}

}  // namespace

const Architecture gpt_neox_architecture{"gpt_neox", complete, lower, name_in_model, fused};

}  // namespace jlcm
