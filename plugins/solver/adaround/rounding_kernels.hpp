#pragma once
// Kernels of learned rounding, element by element.

#include "core/backend/cpu/isa.hpp"
#include "plugins/solver/adaround/rounding_step.hpp"

#include <cstdint>

namespace jlcm {

struct RoundingKernels {
    /// error = low + gap h(v) - target, h(v) = clamp(1.2 sigmoid(v) - 0.1, 0, 1).
    void (*soft_errors)(std::int64_t n, const float* v, const float* low, const float* gap,
                        const float* target, float* error);
    /// One step of Adam on v (beta 0.9, 0.999) for step.slope * e H e^T / 2 + step.regulariser * sum 1 - |2 h
    /// - 1|^beta; `product` holds e H.
    void (*round_step)(std::int64_t n, const RoundingStep& step, const float* product, const float* gap,
                       float* v, float* first, float* second);
};

[[nodiscard]] const RoundingKernels& rounding_kernels();

}  // namespace jlcm
