#pragma once
// The step of the estimator "curvature".

#include "core/backend/backend.hpp"

#include <cstdint>
#include <vector>

namespace jlcm {

/// One damped Newton step.
struct CurvatureStep {
    float trust = 0;    ///< how far a latent moves at most, in units of its table's spacing
    float damping = 0;  ///< share of the curvature's mean (over a segment) added to each
    float beta1 = 0;
    float correction1 = 1;  ///< 1 / (1 - beta1^t)
};

/// Moves a latent number per weight towards the value that minimises q_k = g d + h/2 d^2, d = value k - the
/// present one, then takes the code of the nearest value. g: `first_moment` of the gradient. curvature h >=
/// 0: [rows, cols], or [cols] where rows share it. jumps[j] counts codes that moved by j + 1.
void curvature_step(const CodedMatrix& matrix, const Tensor& gradient, const CurvatureStep& step,
                    const Tensor& curvature, Tensor& latent, Tensor& first_moment,
                    std::vector<std::int64_t>& jumps);

/// That on the n weights of a segment; step.trust is in units of the weights here.
using CurvatureKernel = void (*)(std::int64_t n, int codewords, const float* table, const CurvatureStep* step,
                                 const float* gradient, const float* curvature, float* latent,
                                 float* first_moment, std::uint8_t* codes, std::int64_t* jumps);

}  // namespace jlcm
