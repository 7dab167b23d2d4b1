#pragma once
// Statistics of normalisation (the mean and variance of a batch norm) after the weights before it changed.

#include "core/codebook/compressed_model.hpp"
#include "core/graph/execution.hpp"

namespace jlcm {

/// Puts in place of the statistics of each batch norm of the block those of what the compressed block makes
/// of `inputs` [samples, ...], in the order of the nodes: each is measured behind the recalibrated ones. A
/// block without any stays as it is. Nagel et al., "A white paper on neural network quantization", arXiv
/// 2106.08295, section 4.3.
void recalibrate_norms(const Executor& executor, const Block& block, const Tensor& inputs,
                       CompressedModel& model);

}  // namespace jlcm
