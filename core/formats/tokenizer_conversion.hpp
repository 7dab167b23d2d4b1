#pragma once
// A tokenizer's definition from one format of files to another, for exported models.

#include "core/base/json.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/formats/gguf.hpp"

#include <map>
#include <string>

namespace jlcm {

/// The tokenizer.* metadata of a GGUF file for `model` (its tokenizer, special tokens, chat template and
/// vocabulary size). Input errors: a tokenizer.json that isn't a byte-level BPE with a pre-tokenizer known by
/// name; no tokenizer.
[[nodiscard]] GgufMetadata gguf_tokenizer(const Checkpoint& model);

/// The tokenizer files of a Hugging Face folder for `model`: contents by file name. A GGUF byte-level BPE
/// becomes tokenizer.json, a GGUF SentencePiece model becomes tokenizer.model. Input errors: other GGUF
/// tokenizers and pre-tokenizers, by name.
[[nodiscard]] std::map<std::string, std::string> huggingface_tokenizer(const Checkpoint& model);

}  // namespace jlcm
