#pragma once
// One step of learned rounding (AdaRound); plain data, since kernels of every instruction set read it.

namespace jlcm {

/// The rectified sigmoid h(v) = clamp(stretch sigmoid(v) - overhang, 0, 1) reaches 0 and 1 at finite v.
inline constexpr float rounding_stretch = 1.2F;
inline constexpr float rounding_overhang = 0.1F;

/// Adam (0.9, 0.999) on v for slope * gradient of the reconstruction + regulariser * sum 1 - |2 h - 1|^beta.
struct RoundingStep {
    float slope = 0;        ///< factor of the reconstruction's gradient
    float regulariser = 0;  ///< its weight
    int beta = 2;           ///< its exponent, 1 or more
    float rate = 0;         ///< Adam step
    float correction1 = 1;  ///< 1 / (1 - 0.9^t)
    float correction2 = 1;  ///< 1 / (1 - 0.999^t)
};

}  // namespace jlcm
