#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/config_keys.hpp"

namespace jlcm {
namespace {

using nlohmann::json;

/// OPTLearnedPositionalEmbedding: the first rows of the table are never read.
constexpr std::int64_t position_offset = 2;

json complete(json config) {
    const auto hidden = config_integer(config, "hidden_size", 768);
    const auto heads = config_integer(config, "num_attention_heads", 12);
    require_whole_heads(hidden, heads);
    const auto width = config_integer(config, "word_embed_proj_dim", hidden);
    require(width == hidden, "'word_embed_proj_dim' is {} where 'hidden_size' is {}: not supported", width,
            hidden);
    config["hidden_size"] = hidden;
    config["num_attention_heads"] = heads;
    config["word_embed_proj_dim"] = width;
    config["num_hidden_layers"] = config_integer(config, "num_hidden_layers", 12, most_config_layers);
    config["ffn_dim"] = config_integer(config, "ffn_dim", 3072);
    config["vocab_size"] = config_integer(config, "vocab_size", 50272);
    config["max_position_embeddings"] = config_integer(config, "max_position_embeddings", 2048);
    for (const char* key : {"do_layer_norm_before", "enable_bias", "layer_norm_elementwise_affine"})
        require_flag(config, key, true);
    require_flag(config, "_remove_final_layer_norm", false);
    config["tie_word_embeddings"] = config_flag(config, "tie_word_embeddings", true);
    const std::string activation = config_text(config, "activation_function", "relu");
    require(activation == "relu", "the activation '{}' is not supported, only relu", activation);
    config["activation_function"] = activation;
    return config;
}

TransformerConfig lower(const json& config) {
    TransformerConfig result =
        transformer_with_learned_positions(config.at("hidden_size"), config.at("num_attention_heads"));
    result.intermediate_size = config.at("ffn_dim");
    result.layers = config.at("num_hidden_layers");
    result.vocabulary = config.at("vocab_size");
    result.position_offset = position_offset;
    result.position_rows = config.at("max_position_embeddings").get<std::int64_t>() + position_offset;
    result.activation = Unary::relu;
    result.tied_head = config.at("tie_word_embeddings");
    TransformerNames& names = result.names;
    names.tokens = "model.decoder.embed_tokens";
    names.positions = "model.decoder.embed_positions";
    names.layers = "model.decoder.layers";
    names.attention_norm = "self_attn_layer_norm";
    names.output = "self_attn.out_proj";
    names.mlp_norm = "final_layer_norm";
    names.up = "fc1";
    names.down = "fc2";
    names.final_norm = "model.decoder.final_layer_norm";
    return result;
}

std::string name_in_model(const std::string& stored, const json& config) {
    if (stored == "lm_head.weight" && config.at("tie_word_embeddings").get<bool>()) return "";
    return stored.starts_with("decoder.") ? "model." + stored : stored;
}

}  // namespace

const Architecture opt_architecture{"opt", complete, lower, name_in_model};

}  // namespace jlcm
