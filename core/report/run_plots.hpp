#pragma once
// Plots of what learning and solving did. Runs that differ in their seed alone are averaged, with a band of one
// standard error over seeds; those that diverged are named. Many runs are cut into small multiples (core/report/facets.hpp).

#include "core/report/plot.hpp"
#include "core/report/run_records.hpp"

#include <string>
#include <vector>

namespace jlcm {

/// The mean loss over blocks of every step of "learn" or "distill". No panels where no run learned.
[[nodiscard]] Plot loss_plot(const std::vector<RunRecord>& runs, const std::string& stage);

/// How far weights moved when they changed their codeword: jumps per weight, by length.
[[nodiscard]] Plot jump_plot(const std::vector<RunRecord>& runs);

/// The same over the steps of "learn" or "distill": a panel for each run, a curve for each length.
[[nodiscard]] Plot jump_steps_plot(const std::vector<RunRecord>& runs, const std::string& stage);

/// The loss that learning left in each block; of runs that did not learn, the part of the initialiser's
/// objective that the solver left, summed over the block's layers.
[[nodiscard]] Plot error_plot(const std::vector<RunRecord>& runs);

/// What the solver left of each matrix by block and role, a heat map for each run: the recorded error, or the part of
/// the initialiser's objective if a run has no errors (earlier versions).
[[nodiscard]] Plot heat_plot(const std::vector<RunRecord>& runs);

}  // namespace jlcm
