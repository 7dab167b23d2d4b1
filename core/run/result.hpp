#pragma once
// Pieces of result.json (docs/result.md).

#include "core/base/json.hpp"
#include "core/model/evaluation.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

/// Version of result.json; grows with every change that a reader has to know.
inline constexpr int result_version = 1;

/// One record of `evaluations`. `models` name the figures: "original", "solver_only",
/// "learned_only", "compressed".
[[nodiscard]] nlohmann::json evaluation_record(const std::string& name, const EvaluationResult& result,
                                               const std::vector<std::string>& models);

/// A model's figure in a record, `value` or another key: NaN or an infinity where the record says that it is
/// not finite. Nothing where it has none.
[[nodiscard]] std::optional<double> recorded_figure(const nlohmann::json& figures, const std::string& key);

/// A line for each model of each evaluation that has figures which are not finite: which, and what they are.
[[nodiscard]] std::vector<std::string> figures_not_finite(const nlohmann::json& evaluations);

/// One record of predictions.json: {"title", "protocol", "expected" (where items are predictions), "models":
/// {NAME: [...]}}; null where the evaluation keeps no items.
[[nodiscard]] nlohmann::json predictions_record(const EvaluationResult& result,
                                                const std::vector<std::string>& models);

/// `footprint` of a packed model, with ratios to its source.
[[nodiscard]] nlohmann::json footprint_record(const std::filesystem::path& artifact, const Model& source,
                                              const std::filesystem::path& source_path,
                                              const std::vector<ParameterId>& compressed);

/// `uncompressed`: a record {"name", "shape", "weights", "reason"} for each of left_tensors().
[[nodiscard]] nlohmann::json uncompressed_record(const Graph& graph,
                                                 const std::vector<ParameterId>& compressed);

/// What the model's output means, and what of its file is left out: lines for logs.
[[nodiscard]] std::vector<std::string> describe_outputs(const Model& model);

[[nodiscard]] nlohmann::json model_record(const Model& model, const std::string& source);

}  // namespace jlcm
