#pragma once
// The tokenizer that a GGUF file brings: its tokenizer.ggml.* keys, checked.
// Their meaning: ggml, docs/gguf.md, and llama.cpp, src/llama-vocab.cpp.

#include "core/base/json.hpp"
#include "core/base/problems.hpp"
#include "core/formats/sentencepiece_model.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

/// Values of tokenizer.ggml.token_type; the numbers are SentencePiece's, too.
enum class TokenType : int { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct GgufTokenizer {
    /// "gpt2": byte-level BPE; "llama", "t5": SentencePiece BPE, Unigram. Of others nothing else is read.
    std::string model;
    std::optional<std::string> pre;  ///< llama.cpp's name of the pre-tokenizer
    std::vector<std::string> tokens;
    std::vector<float> scores;        ///< one per token if the model is "llama" or "t5"; else may be empty
    std::vector<TokenType> types;     ///< one per token; normal if the file has none
    std::vector<std::string> merges;  ///< "left right"; of "gpt2"
    /// By the key between "tokenizer.ggml." and "_token_id": bos, eos, unknown, padding, ... All are tokens.
    std::map<std::string, std::int32_t> special_ids;
    std::optional<bool> add_bos;
    std::optional<bool> add_eos;
    std::optional<bool> add_space_prefix;
    bool remove_extra_whitespaces = false;
    std::string precompiled_charsmap;
    /// jlcm's own key tokenizer.ggml.sentencepiece_rules: SentencePiece itself makes the ids, which takes
    /// control tokens in a text as plain text and puts the space prefix before the text alone. llama.cpp,
    /// which does not know the key, cuts the text at added tokens and puts a space before each part.
    bool sentencepiece_rules = false;

    [[nodiscard]] std::optional<std::int32_t> special_id(const std::string& name) const;
};

/// The tokenizer of `keys`, an object of tokenizer.ggml.* keys by their full names. Everything that is
/// missing or damaged is reported to `problems`, and the result is then of no use.
[[nodiscard]] GgufTokenizer read_gguf_tokenizer(const nlohmann::json& keys, ProblemList& problems);

/// The same; one input error with all of it.
[[nodiscard]] GgufTokenizer read_gguf_tokenizer(const nlohmann::json& keys);

/// A tokenizer of the model "llama" or "t5" as SentencePiece has it.
[[nodiscard]] SentencePieceModel sentencepiece_model(const GgufTokenizer& tokenizer);

}  // namespace jlcm
