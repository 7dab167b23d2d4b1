#pragma once
// A sweep: many runs that differ in a few settings, each a process of its own.

#include "core/base/json.hpp"
#include "core/run/identity.hpp"
#include "core/sweep/sweep_spec.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace jlcm {

/// A run of a sweep.
struct PlannedRun {
    Labels labels;
    Resolved<RunSpec> spec;
    RunIdentity identity;
    std::filesystem::path directory;
    bool is_selected = true;  ///< by the conditions given on the command line
};

/// Decodes every run's spec and finds its directory below `out`. Input errors name the run.
[[nodiscard]] std::vector<PlannedRun> plan_sweep(const SweepSpec& sweep, const std::filesystem::path& out,
                                                 Backend& backend, const Selection& selection = {});

/// What would be run: every run with its labels, directory, bits, bytes, memory and time, and whether it is
/// finished. Reads the models.
[[nodiscard]] std::string sweep_dry_run(const SweepSpec& sweep, const std::vector<PlannedRun>& runs,
                                        Backend& backend);

struct SweepOutcome {
    std::string summary;
    std::size_t failed = 0;
    std::size_t not_finite =
        0;  ///< selected runs that are finished, but whose learning diverged or figures are not finite
    bool was_interrupted = false;
};

/// Runs what is selected and not finished with the program `jlcm_run` and its further arguments, and keeps
/// OUT/NAME.sweep.json up to date: the labels, directory and state of every run of the sweep. A run that
/// fails does not stop the others.
[[nodiscard]] SweepOutcome run_sweep(const SweepSpec& sweep, const std::vector<PlannedRun>& runs,
                                     const std::filesystem::path& out, Backend& backend,
                                     const std::vector<std::string>& jlcm_run);

}  // namespace jlcm
