#pragma once
// Learned rounding between neighbouring codewords, on a coded matrix: shared by the solver and the estimator
// "adaround".

#include "core/backend/backend.hpp"
#include "plugins/solver/adaround/rounding_step.hpp"

#include <cstdint>
#include <vector>

namespace jlcm {

/// The v at which low + gap h(v) is `weight`, h kept within [0.01, 0.99].
[[nodiscard]] float rounding_variable(float low, float gap, float weight);

/// Step `number` (from 0) of v, without slope and regulariser; `done`: how far beta has fallen, in [0, 1].
[[nodiscard]] RoundingStep rounding_step_at(std::int64_t number, double rate, int first_beta, int last_beta,
                                            double done);

/// out (float32 [rows, cols]) = low + (high - low) h(v), low the value of `low_codes` (uint8 [rows, cols],
/// below K - 1), high the next one.
void soft_rounding(const CodedMatrix& matrix, const Tensor& low_codes, const Tensor& v, Tensor& out);
/// A step of v; codes become those of low where v is negative, of high elsewhere. jumps[0] counts codes that
/// moved.
void rounding_step(const CodedMatrix& matrix, const Tensor& low_codes, const Tensor& gradient,
                   const RoundingStep& step, Tensor& v, Tensor& first_moment, Tensor& second_moment,
                   std::vector<std::int64_t>& jumps);

}  // namespace jlcm
