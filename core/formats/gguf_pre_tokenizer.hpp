#pragma once
// How a byte-level BPE cuts text before it merges: what llama.cpp's names for it mean.

#include "core/base/json.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// GPT-2's word pattern, which tokenizer.json's ByteLevel uses unless told otherwise.
extern const char* const gpt2_pattern;

/// Patterns that split the text one after the other, each match by itself, and whether whole words that are
/// tokens stay whole. The patterns are those of the models' own tokenizer.json.
struct GgufPreTokenizer {
    std::vector<std::string_view> names;  ///< values of tokenizer.ggml.pre; the first is the one to write
    std::vector<std::string> patterns;
    bool ignore_merges = false;
};

/// The one of that name; an input error lists the names there are.
[[nodiscard]] const GgufPreTokenizer& gguf_pre_tokenizer(std::string_view name);

/// The name for tokenizer.json's `pre_tokenizer` and the `ignore_merges` of its model; empty if llama.cpp has
/// none that jlcm knows.
[[nodiscard]] std::string gguf_pre_tokenizer_name(const nlohmann::json& steps, bool ignore_merges);

/// The reverse: tokenizer.json's `pre_tokenizer`.
[[nodiscard]] nlohmann::json pre_tokenizer_steps(const GgufPreTokenizer& pre_tokenizer);

}  // namespace jlcm
