#pragma once
// Copies between strided views; see Backend.

#include "core/backend/backend.hpp"

namespace jlcm::cpu {

void copy_strided(const Shape& extents, const Tensor& from, const Strides& from_strides, Tensor& to,
                  const Strides& to_strides, bool accumulate);

}  // namespace jlcm::cpu
