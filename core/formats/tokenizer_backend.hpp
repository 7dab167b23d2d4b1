#pragma once
// tokenizer.json from the files that came before it.

#include "core/base/json.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace jlcm {

/// How LlamaTokenizer reads a SentencePiece model.
struct LlamaSettings {
    bool legacy = true;            ///< each text between added tokens gets the dummy prefix
    bool add_prefix_space = true;  ///< the dummy prefix
    /// What other files call the pieces of these ids; counts for the first three.
    std::map<std::size_t, std::string> names;
};

/// A tokenizer.json from a SentencePiece byte-pair model (transformers' LlamaConverter); control and
/// user-defined pieces are its added tokens. Unigram models are input errors.
[[nodiscard]] nlohmann::json llama_tokenizer(std::string_view model, const LlamaSettings& settings);

/// A byte-level BPE from vocab.json and merges.txt (GPT2Converter).
[[nodiscard]] nlohmann::json gpt2_tokenizer(std::string_view vocabulary, std::string_view merges,
                                            bool add_prefix_space);

/// The same with Qwen2's normaliser and word pattern (Qwen2Converter).
[[nodiscard]] nlohmann::json qwen2_tokenizer(std::string_view vocabulary, std::string_view merges);

/// A WordPiece tokenizer from vocab.txt, a token per line (BertConverter), with BERT's default normaliser.
[[nodiscard]] nlohmann::json bert_tokenizer(std::string_view vocabulary, std::string_view unknown_token);

}  // namespace jlcm
