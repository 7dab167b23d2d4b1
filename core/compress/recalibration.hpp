#pragma once
// Statistics of normalisation (the mean and variance of a batch norm) after the weights before it changed.

#include "core/codebook/compressed_model.hpp"
#include "core/graph/execution.hpp"

namespace jlcm {

/// Corrects the statistics of each batch norm of the block for what compression changed before it, in the
/// order of the nodes. `original_inputs` and `inputs` [samples, ...] are what the original's and the
/// compressed model's former blocks make of the same samples. The mean moves by the difference of the two
/// models' means over them, the variance by the ratio of their variances (by the difference, if the
/// original hardly varies). Being of the same samples, both carry little of their noise: measuring the
/// statistics themselves (Nagel et al., "A white paper on neural network quantization", arXiv 2106.08295,
/// section 4.3) would trade those of the whole training set for those of a few samples. A block without any
/// batch norm stays as it is.
void recalibrate_norms(const Executor& executor, const Block& block, const WeightSource& original,
                       const Tensor& original_inputs, const Tensor& inputs, CompressedModel& model);

}  // namespace jlcm
