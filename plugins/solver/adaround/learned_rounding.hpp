#pragma once
// Learned rounding on the CPU; what each function does stands at Backend's function of the same name.

#include "core/backend/backend.hpp"

namespace jlcm::cpu {

void soft_rounding(const CodedMatrix& matrix, const Tensor& low_codes, const Tensor& v, Tensor& out);
void rounding_step(const CodedMatrix& matrix, const Tensor& low_codes, const Tensor& gradient,
                   const RoundingStep& step, Tensor& v, Tensor& first_moment, Tensor& second_moment,
                   std::vector<std::int64_t>& jumps);

}  // namespace jlcm::cpu
