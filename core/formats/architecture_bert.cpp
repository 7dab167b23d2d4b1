#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/config_keys.hpp"

#include <algorithm>
#include <array>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<std::string_view, Unary>, 4> activations{{
    {"gelu", Unary::gelu},
    {"gelu_new", Unary::gelu_tanh},
    {"gelu_pytorch_tanh", Unary::gelu_tanh},
    {"relu", Unary::relu},
}};

void complete(ConfigReader& config) {
    const auto hidden = config.integer("hidden_size", 768);
    config.require_whole_heads(hidden, config.integer("num_attention_heads", 12));
    config.integer("num_hidden_layers", 12, most_config_layers);
    config.integer("intermediate_size", 3072);
    config.integer("vocab_size", 30522);
    config.integer("max_position_embeddings", 512);
    config.integer("type_vocab_size", 2);
    config.positive("layer_norm_eps", 1e-12);
    for (const char* key : {"is_decoder", "add_cross_attention"})
        config.require_flag(key, false, "only the encoder is read");
    config.one_of("position_embedding_type", {"absolute"}, "choose a model with absolute positions");
    config.one_of("hidden_act", {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu"},
                  "choose a model with one of these");
}

TransformerConfig lower(const json& config) {
    TransformerConfig result =
        transformer_with_learned_positions(config.at("hidden_size"), config.at("num_attention_heads"));
    result.intermediate_size = config.at("intermediate_size");
    result.layers = config.at("num_hidden_layers");
    result.vocabulary = config.at("vocab_size");
    result.norm_place = NormPlace::behind;
    result.norm_epsilon = config.at("layer_norm_eps");
    result.embedding_norm = true;
    result.position_rows = config.at("max_position_embeddings");
    result.token_types = config.at("type_vocab_size");
    result.causal = false;
    result.activation = std::ranges::find(activations, config.at("hidden_act").get<std::string>(),
                                          &decltype(activations)::value_type::first)
                            ->second;
    result.has_head = false;
    TransformerNames& names = result.names;
    names.tokens = "embeddings.word_embeddings";
    names.positions = "embeddings.position_embeddings";
    names.token_types = "embeddings.token_type_embeddings";
    names.embedding_norm = "embeddings.LayerNorm";
    names.layers = "encoder.layer";
    names.attention_norm = "attention.output.LayerNorm";
    names.query = "attention.self.query";
    names.key = "attention.self.key";
    names.value = "attention.self.value";
    names.output = "attention.output.dense";
    names.mlp_norm = "output.LayerNorm";
    names.up = "intermediate.dense";
    names.down = "output.dense";
    return result;
}

/// Old files call a norm's weight and bias gamma and beta.
std::string name_in_model(const std::string& stored, const json& /*config*/) {
    std::string name = stored.starts_with("bert.") ? stored.substr(5) : stored;
    if (name.starts_with("pooler.") || name.starts_with("cls.") || name == "embeddings.position_ids")
        return "";
    if (name.ends_with(".LayerNorm.gamma")) return name.substr(0, name.size() - 5) + "weight";
    if (name.ends_with(".LayerNorm.beta")) return name.substr(0, name.size() - 4) + "bias";
    return name;
}

}  // namespace

const Architecture bert_architecture{"bert", complete, lower, name_in_model};

}  // namespace jlcm
