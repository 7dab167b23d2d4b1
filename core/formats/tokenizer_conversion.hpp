#pragma once
// A tokenizer's definition from one format of files to another, for exported models.

#include "core/base/json.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/formats/gguf.hpp"

#include <map>
#include <string>

namespace jlcm {

/// What to do if the target format cannot say something that changes the ids of some text.
enum class TokenizerLoss {
    refused,   ///< an input error that names all of it
    accepted,  ///< a warning that names all of it
};

/// The tokenizer.* metadata of a GGUF file for `model`: tokens with their types and scores, special tokens,
/// chat templates. A byte-level BPE becomes llama.cpp's "gpt2", a BPE of characters with byte fallback and a
/// SentencePiece BPE "llama", a SentencePiece Unigram model "t5". Input errors: other tokenizers, a
/// pre-tokenizer that llama.cpp has no name for, no tokenizer, losses unless they are accepted.
[[nodiscard]] GgufMetadata gguf_tokenizer(const Checkpoint& model, TokenizerLoss loss);

/// The files of a Hugging Face folder that are about text, by name: those of the folder that the model came
/// from, byte for byte. Without one, a GGUF byte-level BPE becomes tokenizer.json, a GGUF SentencePiece model
/// tokenizer.model. Input errors: other GGUF tokenizers and pre-tokenizers, by name.
[[nodiscard]] std::map<std::string, std::string> huggingface_tokenizer(const Checkpoint& model);

}  // namespace jlcm
