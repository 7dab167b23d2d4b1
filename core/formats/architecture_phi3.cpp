// Phi-3 and Phi-4: a Llama whose queries, keys and values are one projection, and whose gate and up another.
#include "core/formats/architecture.hpp"
#include "core/formats/decoder_config.hpp"

namespace jlcm {
namespace {

using nlohmann::json;

void complete(ConfigReader& config) {
    complete_decoder(config, {.positions = 4096,
                              .norm_epsilon = 1e-5,
                              .rope_kinds = {"default", "longrope"},
                              .partial_rotary = true});
    complete_window(config, 0);
}

TransformerConfig lower(const json& config) {
    TransformerConfig result = lower_decoder(config);
    lower_window(config, result);
    result.turned = turned_features(config, "partial_rotary_factor", result.head_dim);
    TransformerNames& names = result.names;
    names.query = "self_attn.qkv_proj.query";
    names.key = "self_attn.qkv_proj.key";
    names.value = "self_attn.qkv_proj.value";
    names.gate = "mlp.gate_up_proj.gate";
    names.up = "mlp.gate_up_proj.up";
    return result;
}

std::vector<Fusion> fused(const json& config) {
    const auto head_dim = config.at("head_dim").get<std::int64_t>();
    const std::int64_t queries = config.at("num_attention_heads").get<std::int64_t>() * head_dim;
    const std::int64_t keys = config.at("num_key_value_heads").get<std::int64_t>() * head_dim;
    const auto inner = config.at("intermediate_size").get<std::int64_t>();
    return {{"self_attn.qkv_proj", {{"query", queries}, {"key", keys}, {"value", keys}}},
            {"mlp.gate_up_proj", {{"gate", inner}, {"up", inner}}}};
}

}  // namespace

const Architecture phi3_architecture{"phi3", complete, lower, decoder_tensor_name, fused};

}  // namespace jlcm
