#pragma once
// The learner's bulk steps on the CPU; what each does stands at Backend's function of the same name.

#include "core/backend/backend.hpp"

namespace jlcm::cpu {

void decode_codes(const CodedMatrix& matrix, Tensor& out);
[[nodiscard]] Tensor table_gradient(const CodedMatrix& matrix, const Tensor& gradient, std::int64_t tables);
void adam(Tensor& value, const Tensor& gradient, const AdamStep& adam, std::span<const double> rates,
          Tensor& first_moment, Tensor& second_moment);

}  // namespace jlcm::cpu
