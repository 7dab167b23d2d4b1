#pragma once
// Multiple-choice questions for language models, as lm-evaluation-harness asks them: the likelihood of each
// continuation says which one a model would choose.

#include "core/text/tokenizer.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace jlcm {

struct ChoiceItem {
    std::vector<std::string> contexts;       ///< one for all continuations, or one for each
    std::vector<std::string> continuations;  ///< what is scored, the delimiter in front included
    std::vector<std::string> choices;        ///< the same without it: their lengths normalise
    std::int64_t gold = 0;                   ///< the right choice

    [[nodiscard]] const std::string& context(std::size_t choice) const {
        return contexts.size() == 1 ? contexts.front() : contexts.at(choice);
    }
};

struct ChoiceTask {
    std::vector<ChoiceItem> items;
    std::string sha256;  ///< of the whole file
};

/// A file of JSON lines, each an object with `context`, `choices`, `gold` and optionally `delimiter` (a
/// space). Where `scoring` is "partial", `continuation` is scored behind each of `contexts` instead. The
/// first `limit` items (0: all). Input errors name the line.
[[nodiscard]] ChoiceTask read_choice_task(const std::filesystem::path& path, std::int64_t limit);

/// Tokens of a context and its continuation.
struct ContinuationTokens {
    std::vector<std::int32_t> ids;
    std::size_t begin = 0;  ///< of the continuation; at least 1
};

/// As lm_eval/api/model.py, TemplateLM._encode_pair: white space at the context's end belongs to the
/// continuation, both are tokenized as one text, and the continuation's tokens are those behind as many as
/// the context alone has. `first` is put in front, where there is one. Too long, it loses tokens at its
/// beginning, so that `longest` remain to be read (the last one is not).
[[nodiscard]] ContinuationTokens encode_continuation(const Tokenizer& tokenizer, const std::string& context,
                                                     const std::string& continuation,
                                                     std::optional<std::int32_t> first, std::int64_t longest);

}  // namespace jlcm
