#pragma once
// The readers behind make_tokenizer, one a format.

#include "core/text/tokenizer.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace jlcm {

/// A Hugging Face tokenizer.json with a BPE model.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view data, std::string hash);

/// A JSON object of a GGUF file's tokenizer.* metadata; models "gpt2" (byte-level BPE) and "llama"
/// (SentencePiece).
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_gguf(std::string_view data, std::string hash);

/// A serialised SentencePiece model.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(std::string_view data,
                                                                      std::string hash);

}  // namespace jlcm
