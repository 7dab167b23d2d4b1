#pragma once
// A conversation on the terminal, or over pipes.

#include "core/base/json.hpp"
#include "core/generate/generation.hpp"
#include "core/generate/prompt_format.hpp"

#include <string_view>
#include <vector>

namespace jlcm {

/// Writes to the standard output at once; a system error where that fails (a full disk).
void write_out(std::string_view text);

/// Text, ids, counts, seconds and why it ended.
[[nodiscard]] nlohmann::ordered_json generation_record(const Generation& made);

/// Reads lines from the standard input, each a user's message, and answers them, until the input ends. `messages` is
/// what was said before and grows. Ctrl-C stops an answer, which stays in the history as far as it came. A line of JSON
/// per answer in place of the text where `as_json`. Returns the program's exit code.
[[nodiscard]] int hold_conversation(const ChatFormat& chat, const Tokenizer& tokenizer, Generator& generator,
                                    nlohmann::ordered_json& messages, const GenerationOptions& options,
                                    bool as_json, std::vector<Generation>& generations);

}  // namespace jlcm
