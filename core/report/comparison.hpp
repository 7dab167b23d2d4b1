#pragma once
// Two runs or artifacts side by side.

#include "core/report/paired_test.hpp"

#include <filesystem>
#include <string>

namespace jlcm {

/// What differs between two runs (their directories) or two artifacts: settings, figures with the paired
/// t-test over items, and tensor by tensor how far the decoded weights lie apart and how many codes agree.
/// Figures of different protocols are not held against each other. `all_tensors`: also list those that are
/// identical. Input errors: neither a run nor an artifact, damaged files.
[[nodiscard]] std::string compare(const std::filesystem::path& first, const std::filesystem::path& second,
                                  bool all_tensors);

/// Models of runs side by side: the figures that both have under one protocol with the paired t-test over
/// items, and McNemar's test where items are predictions. Input errors: a run without that model (naming
/// those it has), no evaluation of one protocol in common.
[[nodiscard]] std::string compare_models(const RunModel& first, const RunModel& second);

}  // namespace jlcm
