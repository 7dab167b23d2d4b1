#include "core/backend/cpu/vector_math.hpp"
#include "plugins/solver/adaround/rounding_kernels.hpp"

namespace jlcm::JLCM_ISA {
namespace {

void soft_errors(std::int64_t n, const float* v, const float* low, const float* gap, const float* target,
                 float* error) {
    for (std::int64_t i = 0; i < n; ++i) {
        const float h = rounding_stretch * sigmoid(v[i]) - rounding_overhang;
        const float share = h < 0.0F ? 0.0F : (h > 1.0F ? 1.0F : h);
        error[i] = low[i] + gap[i] * share - target[i];
    }
}

void round_step(std::int64_t n, const RoundingStep& step, const float* product, const float* gap, float* v,
                float* first, float* second) {
    for (std::int64_t i = 0; i < n; ++i) {
        const float s = sigmoid(v[i]);
        const float h = rounding_stretch * s - rounding_overhang;
        const bool inside = h > 0.0F && h < 1.0F;
        const float centred = 2.0F * h - 1.0F;
        const float distance = __builtin_fabsf(centred);
        float power = 1.0F;  // distance^(beta - 1)
        for (int b = 1; b < step.beta; ++b) power *= distance;
        const float pull = -2.0F * static_cast<float>(step.beta) * power * (centred < 0.0F ? -1.0F : 1.0F);
        const float by_share = step.slope * product[i] * gap[i] + step.regulariser * pull;
        const float gradient = inside ? by_share * rounding_stretch * s * (1.0F - s) : 0.0F;
        first[i] = 0.9F * first[i] + 0.1F * gradient;
        second[i] = 0.999F * second[i] + 0.001F * gradient * gradient;
        v[i] -= step.rate * first[i] * step.correction1 /
                (__builtin_sqrtf(second[i] * step.correction2) + 1e-12F);
    }
}

}  // namespace

extern const RoundingKernels rounding;
const RoundingKernels rounding{soft_errors, round_step};

}  // namespace jlcm::JLCM_ISA
