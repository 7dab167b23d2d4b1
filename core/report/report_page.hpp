#pragma once
// Runs as one HTML page that needs nothing but itself.

#include "core/report/run_records.hpp"

#include <string>
#include <vector>

namespace jlcm {

/// Plots, tables that sort (one for each set of evaluations with the same protocols), and for every run its
/// spec, stages and environment. One filter holds for all of them.
[[nodiscard]] std::string report_page(const std::string& title, const std::vector<RunRecord>& runs);

}  // namespace jlcm
