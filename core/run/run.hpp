#pragma once
// A run from its spec to its result: load, compress block by block, distill, pack, evaluate what was packed.

#include "core/base/json.hpp"
#include "core/estimate/memory_plan.hpp"
#include "core/run/spec.hpp"
#include "core/spec/resolve.hpp"
#include "core/store/run_directory.hpp"
#include "core/store/stage_cache.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

struct RunOutcome {
    std::filesystem::path directory;
    nlohmann::json result;      ///< result.json (docs/result.md); null where only some blocks were asked for
    bool was_finished = false;  ///< an earlier run had done it all
};

/// What a run may use.
struct RunResources {
    /// Bytes: a run whose memory plan is above it is refused, and one that takes more all the same is stopped
    /// by the system.
    std::optional<double> memory_limit;
    StageCache* cache = nullptr;  ///< stages that other runs have in common with this one; null: none
    /// Only these blocks are compressed, into the run's directory, where the whole run finds them:
    /// parse_blocks. Empty: the whole run.
    std::string blocks;
};

/// Runs the spec on `backend`, in the directory NAME-HASH of `out`, HASH being that of the resolved spec, the
/// model's content and the texts'. A run that was stopped goes on where it was saved and ends in the same
/// bytes; a finished one is recognised, and so is one whose learning diverged: its result says where, and it
/// has no artifact. Processes that compress different blocks of a run work side by side. Errors: everything
/// that a user can get wrong, as input errors; `interrupted` with the state saved.
[[nodiscard]] RunOutcome run_experiment(const Resolved<RunSpec>& spec, const std::filesystem::path& out,
                                        Backend& backend, const RunResources& resources = {});

/// What of a result is not a finite number, a line each: learning that diverged, figures that are NaN or
/// infinite. Empty where all is well.
[[nodiscard]] std::vector<std::string> not_finite(const nlohmann::json& result);

/// Exit code of a program that did its work and recorded it, but learning diverged or a figure is not finite.
/// (jlcm-sweep has 4 of its own.)
inline constexpr int exit_not_finite = 5;

/// The result of a run that is finished, its artifact in place (where learning diverged there is none);
/// nothing where it is not (with a warning where something is damaged).
[[nodiscard]] std::optional<nlohmann::json> finished_result(const RunFiles& files);

/// What decides what the run takes. Views of the arguments.
[[nodiscard]] RunSizes sizes_of(const RunSpec& spec, const Model& model,
                                const std::map<ParameterId, MatrixPlan>& plan, const Backend& backend);

/// The type that `compute` means on this machine; an input error where it has no bfloat16 unit and that was
/// asked for.
[[nodiscard]] DType compute_type(Compute compute, const Backend& backend);

}  // namespace jlcm
