#pragma once
// Plots of what came out: quality against bits, bytes and minutes. Runs that differ in their seed alone are
// averaged, with bars of one standard error.

#include "core/report/plot.hpp"
#include "core/report/run_records.hpp"

#include <string>
#include <utility>
#include <vector>

namespace jlcm {

/// What a frontier shows.
struct FrontierOptions {
    std::vector<std::string> x{
        "bits"};  ///< figures of tables (core/report/run_figures.hpp), a panel for each
    std::string y = "perplexity";
    std::string evaluation = {};  ///< a part of the title of y's evaluation
    /// An axis or a key of specs (`name`), a curve for each of its values; empty: as core/report/facets.hpp shares runs out, without the axis of
    /// numbers along which x grows most, which makes curves.
    std::string series = {};
    /// An axis and its value: figures are shown as differences to the run that has it and is equal otherwise.
    std::pair<std::string, std::string> baseline = {};
    std::vector<std::pair<std::string, std::string>> names = {};  ///< values of axes and what to call them
    bool to_frontier = false;  ///< how far each figure is from the best one at no more of x
};

/// Each run as a point. With one x, many curves are cut into panels, each with the best of all panels in grey. The
/// original's figure is a level. Runs whose figures are not finite are marked or named. Input errors as make_table
/// has them.
[[nodiscard]] Plot frontier_plot(const std::vector<RunRecord>& runs, const FrontierOptions& options);

/// Each run as a point on a line of its own, the best on top: for runs of one size. Input errors as make_table has
/// them.
[[nodiscard]] Plot ranking_plot(const std::vector<RunRecord>& runs, const std::string& figure,
                                const std::string& evaluation = {});

/// KL by the original's confidence: a panel each for the median, the 90th and the 99th percentile, a curve for
/// each run, and where it was measured the original's noise floor. No panels where no record has it. `evaluation`: a
/// part of its title; an input error if several evaluations that have it fit.
[[nodiscard]] Plot divergence_plot(const std::vector<RunRecord>& runs, const std::string& evaluation = {});

}  // namespace jlcm
