#include "core/learn/vector_kernels.hpp"

namespace jlcm::JLCM_ISA {
namespace {

/// `fixed`: the dimension if it is known at compile time, 0: `given`.
template <int fixed>
void decode_of(std::int64_t n, int given, const std::uint8_t* codes, const float* codebook, float scale,
               float* out) {
    const int d = fixed > 0 ? fixed : given;
    for (std::int64_t i = 0; i < n; ++i) {
        const float* codeword = codebook + codes[i] * d;
        for (int e = 0; e < d; ++e) out[i * d + e] += scale * codeword[e];
    }
}

template <int fixed>
float gradient_of(std::int64_t n, int given, const std::uint8_t* codes, const float* codebook, float scale,
                  const float* gradient, float* sums) {
    const int d = fixed > 0 ? fixed : given;
    float overlap = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        const float* codeword = codebook + codes[i] * d;
        float* sum = sums + codes[i] * d;
        float own = 0;
        for (int e = 0; e < d; ++e) {
            const float g = gradient[i * d + e];
            sum[e] += scale * g;
            own += g * codeword[e];
        }
        overlap += own;
    }
    return overlap;
}

void decode(std::int64_t n, int d, const std::uint8_t* codes, const float* codebook, float scale,
            float* out) {
    const auto decoded = d == 2 ? decode_of<2> : d == 4 ? decode_of<4> : d == 8 ? decode_of<8> : decode_of<0>;
    decoded(n, d, codes, codebook, scale, out);
}

float gradient(std::int64_t n, int d, const std::uint8_t* codes, const float* codebook, float scale,
               const float* slopes, float* sums) {
    const auto summed = d == 2   ? gradient_of<2>
                        : d == 4 ? gradient_of<4>
                        : d == 8 ? gradient_of<8>
                                 : gradient_of<0>;
    return summed(n, d, codes, codebook, scale, slopes, sums);
}

}  // namespace

extern const VectorKernels vectors;
const VectorKernels vectors{decode, gradient};

}  // namespace jlcm::JLCM_ISA
