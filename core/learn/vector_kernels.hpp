#pragma once
// Kernels of learning on codes that name vectors.

#include <cstdint>

namespace jlcm {

struct VectorKernels {
    /// out[i, e] += scale * codebook[codes[i], e], for n codes of vectors of d weights.
    void (*decode)(std::int64_t n, int d, const std::uint8_t* codes, const float* codebook, float scale,
                   float* out);
    /// sums[codes[i], e] += scale * gradient[i, e]: a codebook's gradient. Returns the sum of gradient[i, e] *
    /// codebook[codes[i], e]: the scale's.
    float (*gradient)(std::int64_t n, int d, const std::uint8_t* codes, const float* codebook, float scale,
                      const float* gradient, float* sums);
};

[[nodiscard]] const VectorKernels& vector_kernels();

}  // namespace jlcm
