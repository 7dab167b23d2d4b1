#pragma once
// The step of the estimator "nearest".

#include "core/backend/backend.hpp"

#include <cstdint>
#include <vector>

namespace jlcm {

/// Adam on one latent number per weight, in units of its table's spacing, then the code of the nearest value.
/// Latents stay within half a spacing of the table's ends. All tensors are float32 [rows, cols]. jumps[j]
/// counts codes that moved by j + 1.
void nearest_step(const CodedMatrix& matrix, const Tensor& gradient, const AdamStep& adam, Tensor& latent,
                  Tensor& first_moment, Tensor& second_moment, std::vector<std::int64_t>& jumps);

/// That on the n weights of a segment; adam.rate is in units of the weights here.
using NearestKernel = void (*)(std::int64_t n, int codewords, const float* table, const AdamStep* adam,
                               float low, float high, const float* gradient, float* latent,
                               float* first_moment, float* second_moment, std::uint8_t* codes,
                               std::int64_t* jumps);

}  // namespace jlcm
