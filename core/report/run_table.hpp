#pragma once
// The table at the end of a run.

#include "core/base/json.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace jlcm {

/// Rows of cells under a header, as an aligned Markdown table that shows them as they are (markdown_text, but
/// for
/// **bold**); the first `keys` columns are words and stand
/// to the left, numbers to the right.
[[nodiscard]] std::string markdown_table(const std::vector<std::string>& header,
                                         const std::vector<std::vector<std::string>>& rows,
                                         std::size_t keys = 1);

/// Characters that a terminal shows, for UTF-8 text.
[[nodiscard]] std::size_t width_of(const std::string& text);

/// One table an evaluation of result.json: the original, the solver alone, this run; with the text that was
/// used and what "full precision" means. Shows what the protocol has, whatever that is. Of a run whose
/// learning diverged it says so.
[[nodiscard]] std::string run_table(const nlohmann::json& result);

/// What each stage took; with a column of what the stage cache spared where it did.
[[nodiscard]] std::string stage_table(const nlohmann::json& result);

/// The table of an evaluation record without a run (jlcm-eval), by what its models' sources are called.
[[nodiscard]] std::string evaluation_table(const nlohmann::json& record);

}  // namespace jlcm
