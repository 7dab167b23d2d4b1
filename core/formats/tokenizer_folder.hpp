#pragma once
// The tokenizer of a Hugging Face folder, from all of its files.

#include "core/base/json.hpp"
#include "core/formats/checkpoint.hpp"

#include <array>
#include <functional>
#include <map>
#include <string>

namespace jlcm {

/// The files of a folder that say something of its tokenizer.
inline constexpr std::array<const char*, 8> tokenizer_file_names{"tokenizer.json",
                                                                 "tokenizer.model",
                                                                 "tokenizer_config.json",
                                                                 "added_tokens.json",
                                                                 "special_tokens_map.json",
                                                                 "vocab.json",
                                                                 "merges.txt",
                                                                 "vocab.txt"};

/// Contents by name, of those that are there.
using TokenizerFiles = std::map<std::string, std::string, std::less<>>;

/// What transformers' AutoTokenizer makes of a folder (version 4.53; the fast tokenizer), as one
/// tokenizer.json: the file of that name, or what the class of `tokenizer_class` builds from tokenizer.model,
/// vocab.json and merges.txt, or vocab.txt; with the added and special tokens of all files, the ids that
/// `tokenizers` gives them, and what the class changes in it. A tokenizer.json that needs no change comes
/// back byte for byte. A tokenizer.model without any other of these files stays a SentencePiece model and
/// follows that library. No file with a vocabulary: no tokenizer.
///
/// `config` is config.json, which names the class if tokenizer_config.json doesn't. Where files contradict
/// each other in what AutoTokenizer decides by itself (an added token's id, a token that only an older file
/// lists), a warning says what counts. One input error names everything that is damaged or not supported.
[[nodiscard]] TokenizerSource assemble_tokenizer(const TokenizerFiles& files, const nlohmann::json& config);

}  // namespace jlcm
