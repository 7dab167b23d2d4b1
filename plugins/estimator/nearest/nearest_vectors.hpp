#pragma once
// The estimator "nearest" for codewords that are vectors, or sums of those of several stages.

#include "core/learn/estimator.hpp"
#include "core/learn/latent.hpp"

#include <memory>

namespace jlcm {

/// Adam on one latent vector per vector of weights, in units of latent_spacing times `rate`, then the codes
/// in whose cells it lies. Latents stay within half a spacing of the box around all sums of codewords.
[[nodiscard]] std::unique_ptr<VectorMappingLearner> make_nearest_vectors(const CompressedMatrix& matrix,
                                                                         const Tensor& target,
                                                                         const StartMargin& margin,
                                                                         double rate);

}  // namespace jlcm
