#pragma once
// Text to token ids and back.

#include "core/formats/checkpoint.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// A tokenizer; immutable, so that several threads may use one.
class Tokenizer {
  public:
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;
    virtual ~Tokenizer() = default;

    /// The ids of `text`, each in [0, vocabulary_size()); bytes that are no UTF-8 count as U+FFFD. Adds
    /// neither a beginning-of-text nor an end-of-text token. Added tokens written out in the text
    /// ("<|endoftext|>") are recognised, as Hugging Face `tokenizers` do with add_special_tokens=False, and
    /// llama.cpp with parse_special for GGUF.
    [[nodiscard]] virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;

    /// The text of `ids`. Byte-pair encodings write special tokens out, and give tokens that hold parts of a
    /// character as those bytes; SentencePiece leaves control tokens out. An id outside the vocabulary is an
    /// input error.
    [[nodiscard]] virtual std::string decode(std::span<const std::int32_t> ids) const = 0;

    [[nodiscard]] virtual std::int32_t vocabulary_size() const = 0;

    /// The tokens that the model's own data names for the beginning and the end of a text.
    [[nodiscard]] std::optional<std::int32_t> bos() const { return ends_.bos; }
    [[nodiscard]] std::optional<std::int32_t> eos() const { return ends_.eos; }

    /// SHA-256 of the data that defines this tokenizer: figures are comparable only where it is equal.
    [[nodiscard]] const std::string& hash() const { return hash_; }

  protected:
    struct Ends {
        std::optional<std::int32_t> bos;
        std::optional<std::int32_t> eos;
    };
    Tokenizer(Ends ends, std::string hash) : ends_(ends), hash_(std::move(hash)) {}

  private:
    Ends ends_;
    std::string hash_;
};

/// Reads the tokenizer that a model brings, in the formats of TokenizerSource: tokenizer.json with a BPE
/// model (byte-level, or of characters with byte fallback), SentencePiece, GGUF's models gpt2 and llama. An
/// input error names what is damaged or not implemented.
[[nodiscard]] std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerSource& source);

}  // namespace jlcm
