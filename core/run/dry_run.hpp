#pragma once
// What a run would do, without doing it: jlcm-run --dry-run.

#include "core/compress/options.hpp"
#include "core/estimate/memory_plan.hpp"
#include "core/spec/resolve.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace jlcm {

/// What a run will need, about.
struct RunEstimate {
    double linear_bits_per_weight = 0;
    std::int64_t file_bytes = 0;  ///< of the artifact
    MemoryPlan memory;
    double operations = 0;           ///< of a whole run but for the choice of first codebooks
    double operations_a_second = 0;  ///< of this machine, as learning reaches them

    [[nodiscard]] double seconds() const { return operations / operations_a_second; }
    [[nodiscard]] double memory_bytes() const { return memory.largest().total(); }
};

/// The plan: weights by role with bits and groups, bytes of the artifact by kind, memory, time. The model is
/// read and the groups are made; time comes from a short measurement of this machine. Input errors as the run
/// itself would raise them.
[[nodiscard]] std::string dry_run(const Resolved<RunSpec>& spec);

/// Estimates of many runs. The model is read once for runs that share it, and groups are made once for runs
/// that share them.
class RunEstimator {
  public:
    RunEstimator();
    RunEstimator(const RunEstimator&) = delete;
    RunEstimator& operator=(const RunEstimator&) = delete;
    ~RunEstimator();
    [[nodiscard]] RunEstimate estimate(const Resolved<RunSpec>& spec);
    /// Its memory alone, in bytes, for which no groups need to be made.
    [[nodiscard]] double memory_bytes(const Resolved<RunSpec>& spec);

  private:
    struct State;
    [[nodiscard]] const Model& model_of(const Resolved<RunSpec>& spec);
    std::unique_ptr<State> state_;
};

}  // namespace jlcm
