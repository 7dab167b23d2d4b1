#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/config_keys.hpp"

namespace jlcm {
namespace {

using nlohmann::json;

/// OPTLearnedPositionalEmbedding: the first rows of the table are never read.
constexpr std::int64_t position_offset = 2;

void complete(ConfigReader& config) {
    const auto hidden = config.integer("hidden_size", 768);
    config.require_whole_heads(hidden, config.integer("num_attention_heads", 12));
    const auto width = config.integer("word_embed_proj_dim", hidden);
    if (width > 0 && hidden > 0 && width != hidden)
        config.problem(
            "'word_embed_proj_dim' is {} but 'hidden_size' is {}: embeddings that are projected are not "
            "supported; OPT models of other sizes than 350M have none",
            width, hidden);
    config.integer("num_hidden_layers", 12, most_config_layers);
    config.integer("ffn_dim", 3072);
    config.integer("vocab_size", 50272);
    config.integer("max_position_embeddings", 2048);
    for (const char* key : {"do_layer_norm_before", "enable_bias", "layer_norm_elementwise_affine"})
        config.require_flag(key, true, "OPT models of other sizes than 350M are supported");
    config.require_flag("_remove_final_layer_norm", false, "OPT models of today have that norm");
    config.flag("tie_word_embeddings", true);
    config.one_of("activation_function", {"relu"}, "OPT models have this one");
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
