#pragma once
// A small random Llama in memory, as a Model that tests can compress.

#include "core/model/model.hpp"
#include "tests/support/checkpoint_parameters.hpp"
#include "tests/support/random.hpp"

#include <cstring>

namespace jlcm::test {

/// Two blocks, width 16, 4 query heads over 2, vocabulary 32 with a character tokenizer, head tied or not, float32
/// weights.
inline Model tiny_llama(bool tied_head = true) {
    Checkpoint checkpoint;
    checkpoint.config = {{"model_type", "llama"},
                         {"hidden_size", 16},
                         {"intermediate_size", 24},
                         {"num_hidden_layers", 2},
                         {"num_attention_heads", 4},
                         {"num_key_value_heads", 2},
                         {"head_dim", 4},
                         {"vocab_size", 32},
                         {"max_position_embeddings", 64},
                         {"rms_norm_eps", 1e-5},
                         {"rope_theta", 10000.0},
                         {"rope_scaling", nullptr},
                         {"tie_word_embeddings", tied_head},
                         {"attention_bias", false},
                         {"mlp_bias", false},
                         {"hidden_act", "silu"}};
    nlohmann::json vocabulary = nlohmann::json::object();
    for (int i = 0; i < 32; ++i) vocabulary[std::string(1, static_cast<char>('A' + i))] = i;
    checkpoint.tokenizer = {
        "tokenizer.json",
        nlohmann::json{
            {"version", "1.0"},
            {"added_tokens", nlohmann::json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer",
             {{"type", "ByteLevel"},
              {"add_prefix_space", false},
              {"use_regex", true},
              {"trim_offsets", true}}},
            {"post_processor", nullptr},
            {"decoder", {{"type", "ByteLevel"}}},
            {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}}}
            .dump()};
    const Graph graph = build_graph(checkpoint.config);
    for (const Parameter& parameter : graph.parameters())
        add_parameter(checkpoint, parameter.name,
                      random_tensor(parameter.shape, parameter.name, DType::f32,
                                    parameter.shape.size() == 1 ? 1.0 : 0.3));
    return Model(std::move(checkpoint));
}

}  // namespace jlcm::test
