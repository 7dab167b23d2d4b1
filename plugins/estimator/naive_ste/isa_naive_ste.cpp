#include "core/learn/score_kernel.hpp"

namespace jlcm::JLCM_ISA {
namespace {

struct StraightThrough {
    static constexpr bool reads_scores = false;
    static constexpr bool neighbours_only = false;
    [[gnu::always_inline]] static inline void factors(int count, int /*present*/, const float* values,
                                                      const float* /*scores*/, float /*temperature*/,
                                                      float* factors) {
        for (int k = 0; k < count; ++k) factors[k] = values[k];
    }
};

}  // namespace

extern const ScoreKernel straight_through;
const ScoreKernel straight_through = step_scores<StraightThrough>;

}  // namespace jlcm::JLCM_ISA
