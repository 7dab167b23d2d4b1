#pragma once
// The table at the end of a run.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace jlcm {

/// Rows of cells under a header, as an aligned Markdown table; numbers to the right.
[[nodiscard]] std::string markdown_table(const std::vector<std::string>& header,
                                         const std::vector<std::vector<std::string>>& rows);

/// One table an evaluation of result.json: the original, the solver alone, this run; with the text that was
/// used and what "full precision" means.
[[nodiscard]] std::string run_table(const nlohmann::json& result);

/// The table of evaluation records without a run: jlcm-eval.
[[nodiscard]] std::string evaluation_table(const nlohmann::json& record);

}  // namespace jlcm
