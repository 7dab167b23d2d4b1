#pragma once
// Transformers over token ids as a graph: what their families differ in is configuration. Vaswani et al.,
// "Attention is all you need", 2017.

#include "core/graph/graph.hpp"

#include <string>
#include <vector>

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
    std::string query_norm = "self_attn.q_norm";
    std::string key_norm = "self_attn.k_norm";
    std::string attention_out_norm = {};
    std::string mlp_norm = "post_attention_layernorm";
    std::string mlp_out_norm = {};
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
    around,  ///< as `before`, and of what attention and MLP add to the residual stream
    added,   ///< of what attention and MLP add; and behind the last block
};

/// MLPs of which a router chooses some for each token.
struct Experts {
    std::int64_t count = 0;   ///< 0: layers have one MLP
    std::int64_t chosen = 0;  ///< for each token
    std::int64_t intermediate_size = 0;
    bool normalised = true;               ///< the weights of those that are chosen sum to one
    std::vector<bool> dense_layers = {};  ///< by layer: which have one MLP nevertheless; empty: none
    std::string router = "mlp.gate";      ///< within a layer, as all names here
    std::string list = "mlp.experts";     ///< in front of ".0." of the first expert
    std::string gate = "gate_proj";
    std::string up = "up_proj";
    std::string down = "down_proj";
};

/// Norms of queries and keys before they turn.
enum class QueryNorm : std::uint8_t {
    none,
    heads,  ///< of each head, with the same weights
    width,  ///< of all heads together
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
    double norm_offset = 0;  ///< added to the weights of RMS norms
    QueryNorm query_norm = QueryNorm::none;
    bool embedding_norm = false;  ///< in front of the first block
    double embedding_scale = 1;
    bool parallel = false;  ///< attention and MLP read the same value, and are added together

    bool rotary = true;
    double rotary_base = 10000.0;
    RotaryScaling rotary_scaling;
    std::int64_t turned = 0;       ///< features of each head that turn, the first; 0: all
    double local_rotary_base = 0;  ///< of local layers, which then have no scaling; 0: they are as the others
    /// Learned positions: rows of their table (0: none), and the row of a window's first token.
    std::int64_t position_rows = 0;
    std::int64_t position_offset = 0;
    std::int64_t token_types = 0;  ///< rows of their table; every token is of the first type

    bool causal = true;
    std::int64_t window = 0;              ///< tokens that one attends to in local layers
    std::vector<bool> local_layers = {};  ///< by layer; empty: none is local
    double attention_scale = 0;           ///< of scores; 0: one over the root of head_dim
    double attention_soft_cap = 0;        ///< of scores; 0: none
    bool query_bias = false;              ///< of queries, keys and values
    bool output_bias = false;
    bool mlp_bias = false;
    bool gated = true;  ///< down(activation(gate x) * up x), else down(activation(up x))
    Unary activation = Unary::silu;

    Experts experts;  ///< gated, without biases

    bool has_head = true;  ///< else the model returns the last block's output
    bool tied_head = false;
    double head_soft_cap = 0;  ///< of logits; 0: none
    TransformerNames names;
};

/// Value 0 is the ids [sequences, length]. Features are the final norm's output; the head is declared, not a
/// node: logits are made in tiles by whoever needs them. Throws an input error where sizes do not fit each
/// other.
[[nodiscard]] Graph build_transformer(const TransformerConfig& config);

}  // namespace jlcm
