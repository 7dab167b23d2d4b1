#pragma once
// Questions for language models, as lm-evaluation-harness asks them: the likelihood of each continuation says
// which one a model would choose, or whether it would write the only one (docs/tasks.md).

#include "core/text/continuation_tokens.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// What is scored, and what counts as right.
enum class TaskScoring : std::uint8_t {
    choices,  ///< several continuations of one context; the most likely one
    partial,  ///< one continuation of several contexts; the context that makes it most likely
    letters,  ///< the letters of choices that the prompt lists; the most likely one
    greedy,   ///< one continuation; whether each of its tokens is the most likely one
};
[[nodiscard]] std::string_view name_of(TaskScoring scoring);

/// Figures of a task. acc_norm and acc_bytes divide log-likelihoods by the choices' characters and bytes;
/// perplexity is exp of the mean negative log-likelihood per continuation.
enum class TaskMetric : std::uint8_t { acc, acc_norm, acc_bytes, perplexity };
[[nodiscard]] std::string_view name_of(TaskMetric metric);
/// What a task can be measured by, the default first.
[[nodiscard]] std::vector<TaskMetric> metrics_of(TaskScoring scoring);

struct ChoiceItem {
    std::vector<std::string> contexts;       ///< one for all continuations, or one for each
    std::vector<std::string> continuations;  ///< what is scored, the delimiter in front included
    std::vector<std::string> choices;        ///< the same without it: their lengths normalise
    std::int64_t gold = 0;                   ///< the right choice
    std::string place;                       ///< "file:line", for messages

    [[nodiscard]] const std::string& context(std::size_t choice) const {
        return contexts.size() == 1 ? contexts.front() : contexts.at(choice);
    }
};

struct ChoiceTask {
    std::vector<ChoiceItem> items;
    TaskScoring scoring = TaskScoring::choices;
    TaskMetric metric = TaskMetric::acc;
    std::string version;  ///< as the file names it; may be empty
    std::string sha256;   ///< of the whole file, unpacked
};

/// The first `limit` items (0: all) of a file of JSON lines, maybe packed with gzip, in the format of
/// docs/tasks.md. An input error names everything that is wrong, with file, line and field.
[[nodiscard]] ChoiceTask read_choice_task(const std::filesystem::path& path, std::int64_t limit);

/// The same of a file's text; `name` stands for the file in messages.
[[nodiscard]] ChoiceTask parse_choice_task(std::string_view text, const std::string& name,
                                           std::int64_t limit);

}  // namespace jlcm
