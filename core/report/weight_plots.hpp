#pragma once
// Plots of a compressed matrix against the original one.

#include "core/report/plot.hpp"
#include "core/report/run_records.hpp"

#include <string>

namespace jlcm {

/// The distribution of the weights of each row group, and its codewords, as high as the share of weights that use
/// them: at most 12 groups, evenly chosen. `source` opens the original model. Input errors: no artifact, another
/// model, no such compressed matrix, codewords that are vectors.
[[nodiscard]] Plot codebook_plot(const RunRecord& run, const std::string& source, const std::string& weight);

/// The rows of the original matrix as an image, before and after they were re-ordered: each line of the image is
/// the distribution of a row's weights, the strip at its left has the colour of its group. Input errors as above.
[[nodiscard]] Plot rows_plot(const RunRecord& run, const std::string& source, const std::string& weight);

}  // namespace jlcm
