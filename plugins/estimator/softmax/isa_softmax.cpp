#include "core/backend/cpu/vector_math.hpp"
#include "core/learn/vector_score_kernel.hpp"

namespace jlcm::JLCM_ISA {
namespace {

/// f = p_k (c_k - sum_j p_j c_j) / T, p = softmax(a / T)
struct SoftmaxRule {
    static constexpr bool reads_scores = true;
    static constexpr bool neighbours_only = false;
    [[gnu::always_inline]] static inline void factors(int count, int /*present*/, const float* values,
                                                      const float* /*distances*/, const float* scores,
                                                      float temperature, float* factors) {
        float largest = scores[0];
        for (int k = 1; k < count; ++k) largest = scores[k] > largest ? scores[k] : largest;
        float total = 0;
        float mean = 0;
        for (int k = 0; k < count; ++k) {
            factors[k] = exponential((scores[k] - largest) / temperature);
            total += factors[k];
            mean += factors[k] * values[k];
        }
        mean /= total;
        for (int k = 0; k < count; ++k) factors[k] *= (values[k] - mean) / (total * temperature);
    }
};

}  // namespace

extern const ScoreKernels softmax;
const ScoreKernels softmax{step_scores<SoftmaxRule>, step_vector_scores<SoftmaxRule>};

}  // namespace jlcm::JLCM_ISA
