#pragma once
// Pieces of result.json (docs/result.md).

#include "core/base/json.hpp"
#include "core/model/evaluation.hpp"

#include <filesystem>
#include <map>

namespace jlcm {

/// Version of result.json; grows with every change that a reader has to know.
inline constexpr int result_version = 1;

/// One record of `evaluations`. `models` name the figures: "original", "solver_only",
/// "learned_only", "compressed".
[[nodiscard]] nlohmann::json evaluation_record(const std::string& name, const EvaluationResult& result,
                                               const std::vector<std::string>& models);

/// One record of predictions.json: {"title", "protocol", "expected" (where items are predictions), "models":
/// {NAME: [...]}}; null where the evaluation keeps no items.
[[nodiscard]] nlohmann::json predictions_record(const EvaluationResult& result,
                                                const std::vector<std::string>& models);

/// `footprint` of a packed model, with ratios to its source.
[[nodiscard]] nlohmann::json footprint_record(const std::filesystem::path& artifact, const Model& source,
                                              const std::filesystem::path& source_path,
                                              const std::vector<ParameterId>& compressed);

[[nodiscard]] nlohmann::json model_record(const Model& model, const std::string& source);

}  // namespace jlcm
