#pragma once
// What a run would do, without doing it: jlcm-run --dry-run.

#include "core/estimate/artifact_plan.hpp"
#include "core/estimate/memory_plan.hpp"
#include "core/run/identity.hpp"
#include "core/run/spec.hpp"
#include "core/spec/resolve.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace jlcm {

/// What a run will need.
struct RunEstimate {
    ArtifactFootprint footprint;  ///< of the file: ArtifactPlan
    MemoryPlan memory;
    std::vector<std::pair<std::string, double>> seconds;  ///< of each stage, about
    double operations = 0;                                ///< of all stages
    double operations_a_second = 0;                       ///< of this machine, as learning reaches them

    [[nodiscard]] double linear_bits_per_weight() const { return footprint.linear_bits_per_weight(); }
    [[nodiscard]] std::uint64_t file_bytes() const { return footprint.bytes.total(); }
    [[nodiscard]] double memory_bytes() const { return memory.largest().total(); }
    [[nodiscard]] double total_seconds() const {
        double total = 0;
        for (const auto& [stage, each] : seconds) total += each;
        return total;
    }
};

/// The plan: weights by role with bits and groups, bytes of the artifact by kind, memory, time. The model is
/// read and the groups are made; time comes from a short measurement of this machine. Input errors as the run
/// itself would raise them.
[[nodiscard]] std::string dry_run(const Resolved<RunSpec>& spec, Backend& backend);

/// Estimates of many runs. The model is read once for runs that share it, and groups are made once for runs
/// that share them.
class RunEstimator {
  public:
    /// `backend` outlives it.
    explicit RunEstimator(Backend& backend);
    RunEstimator(const RunEstimator&) = delete;
    RunEstimator& operator=(const RunEstimator&) = delete;
    ~RunEstimator();
    /// `identity`: the run's, a part of the file that it will write.
    [[nodiscard]] RunEstimate estimate(const Resolved<RunSpec>& spec, const RunIdentity& identity);
    /// Its memory alone, in bytes, for which no groups need to be made.
    [[nodiscard]] double memory_bytes(const Resolved<RunSpec>& spec);

  private:
    struct State;
    [[nodiscard]] const Model& model_of(const Resolved<RunSpec>& spec);
    [[nodiscard]] const ArtifactPlan& artifact_of(const Resolved<RunSpec>& spec);

    Backend& backend_;
    std::unique_ptr<State> state_;
};

}  // namespace jlcm
