#pragma once
// The readers behind make_tokenizer, one a format.

#include "core/text/added_tokens.hpp"
#include "core/text/tokenizer.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// A Hugging Face tokenizer.json with a BPE model.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view data, std::string hash);

/// A JSON object of a GGUF file's tokenizer.* metadata; models "gpt2" (byte-level BPE) and "llama"
/// (SentencePiece).
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_gguf(std::string_view data, std::string hash);

/// A serialised SentencePiece model. `added` are cut out of the text before the model sees it, which begins
/// each part as if it were a text of its own; of the model's pieces these are the control pieces and the
/// unknown one.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(std::string_view data,
                                                                      std::string hash);
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(std::string_view data, std::string hash,
                                                                      const std::vector<AddedToken>& added);

}  // namespace jlcm
