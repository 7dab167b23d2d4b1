#pragma once
// A block layer by layer, without gradients: groups, first codebooks, solver.

#include "core/compress/block_data.hpp"

#include <cstddef>

namespace jlcm {

class BlockSolver {
  public:
    /// `shares`: through the stage cache. References outlive it.
    BlockSolver(const Compression& run, BlockData& data, const StageKeys& keys, bool shares);

    /// Puts the matrices of block `index`, which `data` has begun, into `model`, and copies into
    /// `solver_only` if that is not null.
    void solve(std::size_t index, CompressedModel& model, CompressedModel* solver_only);

  private:
    [[nodiscard]] SavedState solved(std::size_t index);
    [[nodiscard]] CompressedMatrix first(const LayerProblem& problem, const MatrixPlan& plan) const;

    const Compression& run_;
    BlockData& data_;
    const StageKeys& keys_;
    bool shares_;
    DataNeeds needs_;
    std::unique_ptr<CodebookInit> codebook_init_;
    std::unique_ptr<Solver> solver_;
};

/// The stage "solve", without what stands.
[[nodiscard]] StageCost solving_cost(const PipelineSizes& sizes);

}  // namespace jlcm
