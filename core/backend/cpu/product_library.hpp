#pragma once
// The library that multiplies: oneDNN (onednn_*.cpp), or Eigen in a build without it (eigen_products.cpp).

#include "core/backend/cpu/gemm.hpp"

namespace jlcm::cpu {

/// As gemm_tile, for float32 and bfloat16 inputs; no side is 0.
void multiply(const HostMatrix& a, Transpose ta, const HostMatrix& b, Transpose tb, float* c,
              std::int64_t c_stride, bool accumulate);

}  // namespace jlcm::cpu
