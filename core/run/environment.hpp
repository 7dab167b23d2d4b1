#pragma once
// What can change a run's bytes besides its spec and its sources.

#include "core/backend/backend.hpp"
#include "core/base/json.hpp"

namespace jlcm {

/// `environment` of result.json: {"jlcm": version and build, "cpu": its name, "cpu_features": the instruction
/// sets that kernels and libraries choose by, "backend", "libraries": {NAME: version}, "variables": those
/// environment variables that are set and lower the choice of instruction sets, "threads"}. The number of
/// threads changes nothing; it is there for the times.
[[nodiscard]] nlohmann::json environment_record(const Backend& backend);

}  // namespace jlcm
