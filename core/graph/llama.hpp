#pragma once
// The Llama family as a graph: Touvron et al., "LLaMA", 2023; grouped-query attention, tied or untied head.

#include "core/graph/graph.hpp"

namespace jlcm {

struct LlamaConfig {
    std::int64_t hidden_size = 0;
    std::int64_t intermediate_size = 0;
    std::int64_t layers = 0;
    std::int64_t query_heads = 0;
    std::int64_t key_heads = 0;
    std::int64_t head_dim = 0;
    std::int64_t vocabulary = 0;
    std::int64_t max_positions = 0;
    double norm_epsilon = 1e-5;
    double rotary_base = 10000.0;
    RotaryScaling rotary_scaling;
    bool tied_head = false;
};

/// Value 0 is the ids [sequences, length]. Parameters have Hugging Face's names. Features are the final
/// norm's output; the head is declared, not a node: logits are made in tiles by whoever needs them. Throws an
/// input error where sizes do not fit each other.
[[nodiscard]] Graph build_llama(const LlamaConfig& config);

}  // namespace jlcm
