#pragma once
// Runs as one HTML page that needs nothing but itself.

#include "core/report/run_records.hpp"

#include <string>
#include <vector>

namespace jlcm {

/// Tables that sort and filter (one for each set of evaluations with the same protocols), plots where gnuplot
/// is on this machine, and for every run its spec, stages and environment.
[[nodiscard]] std::string report_page(const std::string& title, const std::vector<RunRecord>& runs);

}  // namespace jlcm
