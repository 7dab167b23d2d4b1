#pragma once
// What a run would do, without doing it: jlcm-run --dry-run.

#include "core/experiment/run_spec.hpp"
#include "core/spec/resolve.hpp"

#include <string>

namespace jlcm {

/// The plan: weights by role with bits and groups, bytes of the artifact by kind, memory, time. The model is
/// read and the groups are made; time comes from a short measurement of this machine. Input errors as the run
/// itself would raise them.
[[nodiscard]] std::string dry_run(const Resolved<RunSpec>& spec);

}  // namespace jlcm
