#pragma once
// The pass over the blocks: calibrate, group, initialise, solve, learn, one block after another.

#include "core/codebook/compressed_model.hpp"
#include "core/experiment/compression_plan.hpp"
#include "core/experiment/run_context.hpp"

namespace jlcm {

/// Compresses the blocks of the context's model into `model`. `samples`: as the model reads them. A block
/// that was finished before is taken from its checkpoint. `solver_only` (may be null) receives each matrix as
/// the solver left it.
void compress_blocks(const RunContext& run, const std::map<ParameterId, MatrixPlan>& plan,
                     const Tensor& samples, CompressedModel& model, CompressedModel* solver_only);

}  // namespace jlcm
