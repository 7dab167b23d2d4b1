// Mixtures of experts: Mixtral and Qwen3-MoE.
#include "core/formats/architecture.hpp"
#include "core/formats/decoder_config.hpp"

#include <algorithm>

namespace jlcm {
namespace {

using nlohmann::json;

void complete_choice(ConfigReader& config, const char* count_key, std::int64_t count, std::int64_t chosen) {
    const std::int64_t experts = config.integer(count_key, count);
    const std::int64_t each = config.integer("num_experts_per_tok", chosen);
    if (experts > 0 && each > experts)
        config.problem("'num_experts_per_tok' is {}, but there are {} experts", each, experts);
}

void complete_mixtral(ConfigReader& config) {
    complete_decoder(config,
                     {.key_value_heads = 8, .positions = 131072, .norm_epsilon = 1e-5, .rotary_base = 1e6});
    complete_window(config, 0);
    complete_choice(config, "num_local_experts", 8, 2);
}

TransformerConfig lower_mixtral(const json& config) {
    TransformerConfig result = lower_decoder(config);
    lower_window(config, result);
    result.experts = {.count = config.at("num_local_experts"),
                      .chosen = config.at("num_experts_per_tok"),
                      .intermediate_size = result.intermediate_size,
                      .router = "block_sparse_moe.gate",
                      .list = "block_sparse_moe.experts",
                      .gate = "w1",
                      .up = "w3",
                      .down = "w2"};
    return result;
}

void complete_qwen3_moe(ConfigReader& config) {
    complete_decoder(config, {.key_value_heads = 4, .positions = 32768});
    if (!config.flag("use_sliding_window")) config.config()["sliding_window"] = nullptr;
    complete_window(config, 4096);
    config.flag("attention_bias");
    // Newer configurations call it as Mixtral does.
    if (!config.has("num_experts") && config.has("num_local_experts"))
        config.config()["num_experts"] = config.config().at("num_local_experts");
    complete_choice(config, "num_experts", 128, 8);
    config.integer("moe_intermediate_size", 768);
    config.integer("decoder_sparse_step", 1);
    config.flag("norm_topk_prob");
    if (!config.has("mlp_only_layers")) config.config()["mlp_only_layers"] = json::array();
    json& dense = config.config()["mlp_only_layers"];
    const auto is_layer = [](const json& each) { return each.is_number_integer() && each >= 0; };
    if (!dense.is_array() || !std::ranges::all_of(dense, is_layer)) {
        config.problem("'mlp_only_layers' is {}: expected a list of layers", dense.dump());
        dense = json::array();
    }
}

TransformerConfig lower_qwen3_moe(const json& config) {
    TransformerConfig result = lower_decoder(config);
    lower_window(config, result);
    result.query_bias = result.output_bias = config.at("attention_bias");
    result.query_norm = QueryNorm::heads;
    result.experts = {.count = config.at("num_experts"),
                      .chosen = config.at("num_experts_per_tok"),
                      .intermediate_size = config.at("moe_intermediate_size"),
                      .normalised = config.at("norm_topk_prob")};
    const json& dense = config.at("mlp_only_layers");
    const auto step = config.at("decoder_sparse_step").get<std::int64_t>();
    for (std::int64_t layer = 0; layer < result.layers; ++layer)
        result.experts.dense_layers.push_back((layer + 1) % step != 0 ||
                                              std::ranges::find(dense, json(layer)) != dense.end());
    return result;
}

}  // namespace

const Architecture mixtral_architecture{"mixtral", complete_mixtral, lower_mixtral, decoder_tensor_name};
const Architecture qwen3_moe_architecture{"qwen3_moe", complete_qwen3_moe, lower_qwen3_moe,
                                          decoder_tensor_name};

}  // namespace jlcm
