#pragma once
// Rows of published data sets as items of a task, with the prompts of lm-evaluation-harness.

#include "core/data/json_fields.hpp"

namespace jlcm {

/// A row of LAMBADA, COPA, Social IQa, CommonsenseQA or MMLU, told by its fields, in the format of
/// docs/tasks.md; anything else as it is. What a row lacks is added to its problems, and an item that lacks
/// it as well comes back.
[[nodiscard]] nlohmann::json task_item_of_row(const nlohmann::json& row, const JsonFields& fields);

}  // namespace jlcm
