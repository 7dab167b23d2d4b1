#include "core/backend/cpu/learning_kernels.hpp"

namespace jlcm::JLCM_ISA {
namespace {

constexpr int small_codebook = 16;

void decode(std::int64_t n, const std::uint8_t* codes, const float* table, float* out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = table[codes[i]];
}

void decode_bfloat16(std::int64_t n, const std::uint8_t* codes, const std::uint16_t* table,
                     std::uint16_t* out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = table[codes[i]];
}

void table_gradient(std::int64_t n, int codewords, const std::uint8_t* codes, const float* gradient,
                    float* sums) {
    if (codewords > small_codebook) {
        for (std::int64_t i = 0; i < n; ++i) sums[codes[i]] += gradient[i];
        return;
    }
    for (int k = 0; k < codewords; ++k) {
        float total = 0;
#pragma omp simd reduction(+ : total)
        for (std::int64_t i = 0; i < n; ++i) total += codes[i] == k ? gradient[i] : 0.0F;
        sums[k] += total;
    }
}

void adam_step(std::int64_t n, const AdamStep* adam, const float* gradient, float* value, float* first_moment,
               float* second_moment) {
    const AdamStep a = *adam;
    for (std::int64_t i = 0; i < n; ++i) {
        const float g = gradient[i];
        first_moment[i] = a.beta1 * first_moment[i] + (1.0F - a.beta1) * g;
        second_moment[i] = a.beta2 * second_moment[i] + (1.0F - a.beta2) * g * g;
        value[i] -= a.rate * (first_moment[i] * a.correction1) /
                    (__builtin_sqrtf(second_moment[i] * a.correction2) + a.epsilon);
    }
}

}  // namespace

extern const LearningKernels learning;
const LearningKernels learning = {decode, decode_bfloat16, table_gradient, adam_step};

}  // namespace jlcm::JLCM_ISA
