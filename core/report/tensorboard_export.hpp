#pragma once
// Runs as TensorBoard's event files.

#include "core/report/run_records.hpp"

#include <filesystem>
#include <vector>

namespace jlcm {

/// One directory a run in `directory` (its title and the first 12 digits of its hash), with one event file:
/// every metric as a scalar, the spec and the tags as texts. An event file that is there is replaced.
void write_tensorboard(const std::filesystem::path& directory, const std::vector<RunRecord>& runs);

}  // namespace jlcm
