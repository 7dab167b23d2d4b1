#include "core/backend/cpu/vector_math.hpp"
#include "core/learn/vector_score_kernel.hpp"
#include "plugins/estimator/proximal/proximal_kernels.hpp"

namespace jlcm::JLCM_ISA {
namespace {

/// f = phi(|d|) d / |d|, d = c_k - c_present in units of the spacing; of vectors what it is along the gradient.
template <class Phi>
struct ProximalRule {
    static constexpr bool reads_scores = false;
    static constexpr bool neighbours_only = Phi::neighbours_only;
    [[gnu::always_inline]] static inline void factors(int count, int present, const float* values,
                                                      const float* distances, const float* /*scores*/,
                                                      float temperature, float* factors) {
        const float here = values[present];
        for (int k = 0; k < count; ++k) {
            const float away = distances[k];
            factors[k] =
                away > 0 ? (values[k] - here) / away * Phi::of(away, k - present, temperature) : 0.0F;
        }
    }
};

/// 1 / |d|, |d| taken as 0.001 at least.
struct Inverse {
    static constexpr bool neighbours_only = false;
    [[gnu::always_inline]] static inline float of(float size, int /*steps*/, float /*decay*/) {
        return 1.0F / (size > 1e-3F ? size : 1e-3F);
    }
};

/// exp(-|d| / T)
struct Exponential {
    static constexpr bool neighbours_only = false;
    [[gnu::always_inline]] static inline float of(float size, int /*steps*/, float decay) {
        return exponential(-size / decay);
    }
};

/// 1 for the two neighbours, else 0; and jumps of one only.
struct Adjacent {
    static constexpr bool neighbours_only = true;
    [[gnu::always_inline]] static inline float of(float /*size*/, int steps, float /*decay*/) {
        return steps == 1 || steps == -1 ? 1.0F : 0.0F;
    }
};

}  // namespace

extern const ProximalKernels proximal;
const ProximalKernels proximal{
    {step_scores<ProximalRule<Inverse>>, step_vector_scores<ProximalRule<Inverse>>},
    {step_scores<ProximalRule<Exponential>>, step_vector_scores<ProximalRule<Exponential>>},
    {step_scores<ProximalRule<Adjacent>>, nullptr}};

}  // namespace jlcm::JLCM_ISA
