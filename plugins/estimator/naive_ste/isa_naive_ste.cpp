#include "core/learn/vector_score_kernel.hpp"

namespace jlcm::JLCM_ISA {
namespace {

struct StraightThrough {
    static constexpr bool reads_scores = false;
    static constexpr bool neighbours_only = false;
    [[gnu::always_inline]] static inline void factors(int count, int /*present*/, const float* values,
                                                      const float* /*distances*/, const float* /*scores*/,
                                                      float /*temperature*/, float* factors) {
        for (int k = 0; k < count; ++k) factors[k] = values[k];
    }
};

}  // namespace

extern const ScoreKernels straight_through;
const ScoreKernels straight_through{step_scores<StraightThrough>, step_vector_scores<StraightThrough>};

}  // namespace jlcm::JLCM_ISA
