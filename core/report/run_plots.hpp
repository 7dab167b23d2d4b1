#pragma once
// Plots of runs: what learning did, and what came out at how many bytes. Runs that differ in their seed alone
// are averaged.

#include "core/report/plot.hpp"
#include "core/report/run_records.hpp"

#include <string>
#include <vector>

namespace jlcm {

/// The mean loss over blocks of every step of "learn" or "distill". No series where no run learned.
[[nodiscard]] Plot loss_plot(const std::vector<RunRecord>& runs, const std::string& stage);

/// How far weights moved when they changed their codeword: jumps a weight, by length.
[[nodiscard]] Plot jump_plot(const std::vector<RunRecord>& runs);

/// The loss that learning left in each block; of runs that did not learn, the part of the initialiser's
/// objective that the solver left, summed over the block's layers.
[[nodiscard]] Plot error_plot(const std::vector<RunRecord>& runs);

/// One figure against another (`bits`, `perplexity`; core/report/run_figures.hpp), a line for each value of
/// the axis `series`; where that is empty, for each combination of all axes but the one, of numbers, along
/// which x grows most. Input errors as make_table has them.
[[nodiscard]] Plot frontier_plot(const std::vector<RunRecord>& runs, const std::string& x,
                                 const std::string& y, const std::string& series,
                                 const std::string& evaluation = {});

/// The distribution of a matrix's weights, each divided by its row's standard deviation, and that of every
/// codeword. `source` opens the original model. Input errors: no artifact, another model, no such compressed
/// scalar matrix.
[[nodiscard]] Plot codebook_plot(const RunRecord& run, const std::string& source, const std::string& weight);

}  // namespace jlcm
