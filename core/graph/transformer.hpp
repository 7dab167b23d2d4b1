#pragma once
// Transformers over token ids as a graph: what their families differ in is configuration. Vaswani et al.,
// "Attention is all you need", 2017.

#include "core/graph/graph.hpp"

#include <string>

namespace jlcm {

/// Names of a transformer's weights, without ".weight" and ".bias". The defaults are Llama's.
struct TransformerNames {
    std::string tokens = "model.embed_tokens";
    std::string positions = {};
    std::string token_types = {};
    std::string embedding_norm = {};
    std::string layers = "model.layers";  ///< in front of ".0." of the first layer
    // Within a layer.
    std::string attention_norm = "input_layernorm";
    std::string query = "self_attn.q_proj";
    std::string key = "self_attn.k_proj";
    std::string value = "self_attn.v_proj";
    std::string output = "self_attn.o_proj";
    std::string mlp_norm = "post_attention_layernorm";
    std::string gate = "mlp.gate_proj";
    std::string up = "mlp.up_proj";
    std::string down = "mlp.down_proj";

    std::string final_norm = "model.norm";
    std::string head = "lm_head";
};

enum class NormKind : std::uint8_t { rms, layer };
enum class NormPlace : std::uint8_t {
    before,  ///< of what attention and MLP read; another one behind the last block
    behind,  ///< of each sum with the residual stream
};

struct TransformerConfig {
    std::int64_t hidden_size = 0;
    std::int64_t intermediate_size = 0;
    std::int64_t layers = 0;
    std::int64_t query_heads = 0;
    std::int64_t key_heads = 0;
    std::int64_t head_dim = 0;
    std::int64_t vocabulary = 0;

    NormKind norm = NormKind::rms;
    NormPlace norm_place = NormPlace::before;
    double norm_epsilon = 1e-5;
    bool embedding_norm = false;  ///< in front of the first block

    bool rotary = true;
    double rotary_base = 10000.0;
    RotaryScaling rotary_scaling;
    /// Learned positions: rows of their table (0: none), and the row of a window's first token.
    std::int64_t position_rows = 0;
    std::int64_t position_offset = 0;
    std::int64_t token_types = 0;  ///< rows of their table; every token is of the first type

    bool causal = true;
    bool query_bias = false;  ///< of queries, keys and values
    bool output_bias = false;
    bool mlp_bias = false;
    bool gated = true;  ///< down(activation(gate x) * up x), else down(activation(up x))
    Unary activation = Unary::silu;

    bool has_head = true;  ///< else the model returns the last block's output
    bool tied_head = false;
    TransformerNames names;
};

/// Value 0 is the ids [sequences, length]. Features are the final norm's output; the head is declared, not a
/// node: logits are made in tiles by whoever needs them. Throws an input error where sizes do not fit each
/// other.
[[nodiscard]] Graph build_transformer(const TransformerConfig& config);

}  // namespace jlcm
