#include "core/formats/architecture.hpp"
#include "core/formats/config_keys.hpp"

namespace jlcm {
namespace {

using nlohmann::json;

void complete(ConfigReader& config) {
    const auto width = config.integer("n_embd", 768);
    config.require_whole_heads(width, config.integer("n_head", 12));
    config.integer("n_layer", 12, most_config_layers);
    config.integer("n_inner", 4 * width);
    config.integer("vocab_size", 50257);
    config.config()["max_position_embeddings"] = config.integer("n_positions", 1024);
    config.positive("layer_norm_epsilon", 1e-5);
    config.require_flag("scale_attn_weights", true, "choose a model with the usual scores of attention");
    config.require_flag("scale_attn_by_inverse_layer_idx", false,
                        "choose a model with the usual scores of attention");
    config.require_flag("add_cross_attention", false, "only decoders are read");
    config.flag("tie_word_embeddings", true);
    config.one_of("activation_function", {"gelu_new", "gelu_pytorch_tanh"},
                  "choose a model with one of these");
}

TransformerConfig lower(const json& config) {
    TransformerConfig result = transformer_with_learned_positions(config.at("n_embd"), config.at("n_head"));
    result.intermediate_size = config.at("n_inner");
    result.layers = config.at("n_layer");
    result.vocabulary = config.at("vocab_size");
    result.norm_epsilon = config.at("layer_norm_epsilon");
    result.position_rows = config.at("n_positions");
    result.activation = Unary::gelu_tanh;
    result.tied_head = config.at("tie_word_embeddings");
    TransformerNames& names = result.names;
    names.tokens = "transformer.wte";
    names.positions = "transformer.wpe";
    names.layers = "transformer.h";
    names.attention_norm = "ln_1";
    names.query = "attn.c_attn.query";
    names.key = "attn.c_attn.key";
    names.value = "attn.c_attn.value";
    names.output = "attn.c_proj";
    names.mlp_norm = "ln_2";
    names.up = "mlp.c_fc";
    names.down = "mlp.c_proj";
    names.final_norm = "transformer.ln_f";
    return result;
}

/// Without the causal mask that old files hold.
std::string name_in_model(const std::string& stored, const json& config) {
    if (stored == "lm_head.weight") return config.at("tie_word_embeddings").get<bool>() ? "" : stored;
    if (stored.ends_with(".attn.bias") || stored.ends_with(".attn.masked_bias")) return "";
    return stored.starts_with("transformer.") ? stored : "transformer." + stored;
}

/// Whether Transformers' Conv1D holds this weight: [inputs, outputs].
bool is_turned(const std::string& name) {
    for (const char* end : {".c_attn.weight", ".c_proj.weight", ".c_fc.weight"})
        if (name.ends_with(end)) return true;
    return false;
}

std::vector<Fusion> fused(const json& config) {
    const auto width = config.at("n_embd").get<std::int64_t>();
    return {{"attn.c_attn", {{"query", width}, {"key", width}, {"value", width}}}};
}

}  // namespace

const Architecture gpt2_architecture{"gpt2", complete, lower, name_in_model, fused, is_turned};

}  // namespace jlcm
