#pragma once
// Words and numbers of a run by name.

#include "core/report/run_records.hpp"

#include <optional>
#include <string>
#include <vector>

namespace jlcm {

/// Which of a run's models is meant: "original", "solver_only", "learned_only" or "compressed".
using ModelName = std::string;

/// The text that a run has for a key of tables: an axis of its sweep, `model`, `run`, `hash`, `name`, a key
/// of its spec (a plugin is its name), or a place in result.json. Nothing where it has none.
[[nodiscard]] std::optional<std::string> key_text(const RunRecord& run, const ModelName& model,
                                                  const std::string& key);

/// The runs for which every condition holds; an input error where there is none.
[[nodiscard]] std::vector<RunRecord> selected(std::vector<RunRecord> runs, const Selection& selection);

/// A number of a run.
struct RunFigure {
    double value = 0;             ///< NaN or an infinity where the record says so
    std::optional<double> error;  ///< standard error over items (windows, images)
    nlohmann::json protocol;      ///< what comparable figures share; null where anything compares
    std::vector<double> items;    ///< scores that it is the mean of; empty where not kept
};

/// The evaluation that has a figure and whose title is `wanted`, or else holds it; null if there is none. An input error
/// if several fit. The figure: a metric, or a key of what an evaluation says of a model's KL and agreement.
[[nodiscard]] const nlohmann::json* evaluation_with(const RunRecord& run, const std::string& figure,
                                                    const std::string& wanted);

/// The number of a name: an evaluation's metric (`perplexity`), `kl`, `kl_median`, `kl_p90`, `kl_p99`,
/// `agreement` (of the evaluation whose title holds `evaluation`); `bits` a linear weight, `bytes` of the file, `ratio` to 16 bits; `seconds`,
/// `seconds.STAGE`, `minutes` (of all stages but loading and evaluation, as if nothing had come from a stage
/// cache), `memory` (MB); `loss` of the last step, `moves` (jumps a weight), `jumps.1`, `jumps.2`,
/// `jumps.3+` (shares); or a place in result.json. Nothing where the run has none; NaN where
/// its learning diverged. An input error where several evaluations fit and none has that title, or metrics
/// cannot be read.
[[nodiscard]] std::optional<RunFigure> figure_of(const RunRecord& run, const ModelName& model,
                                                 const std::string& name, const std::string& evaluation = {});

/// How a figure is shown where nothing else is said.
struct FigureStyle {
    std::string title;
    int digits = 3;
    bool is_percent = false;
    enum class Better { neither, low, high } better = Better::neither;
};
[[nodiscard]] FigureStyle style_of(const std::string& figure);

/// The titles of all evaluations of any run, in order of first appearance.
[[nodiscard]] std::vector<std::string> evaluation_titles(const std::vector<RunRecord>& runs);

}  // namespace jlcm
