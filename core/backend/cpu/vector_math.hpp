#pragma once
// Functions that the compiler turns into vector code, for isa_*.cpp only: hence in namespace JLCM_ISA.

#include <cmath>
#include <cstdint>

namespace jlcm::JLCM_ISA {

/// exp(x), float: Cody-Waite reduction to [-ln2/2, ln2/2] and a polynomial of degree 6; error below 2 units
/// in the last place, exact 0 below -87.3 and infinity above 88.7; NaN stays NaN.
[[gnu::always_inline]] inline float exponential(float x) {
    const float clamped = x < -87.3F ? -87.3F : (x > 88.7F ? 88.7F : x);
    constexpr float magic = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
    const float shifted = clamped * 1.44269504088896341F + magic;
    const float n = shifted - magic;
    const float r = (clamped - n * 0.693145751953125F) - n * 1.42860682030941723e-6F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * r * r + r + 1.0F;
    // 2^n in two factors, since n = 128 has no exponent of its own.
    const auto whole = static_cast<std::int32_t>(n);
    const std::int32_t half = whole >> 1;
    const float a = __builtin_bit_cast(float, (half + 127) << 23);
    const float b = __builtin_bit_cast(float, (whole - half + 127) << 23);
    const float result = p * a * b;
    return x < -87.3F ? 0.0F : (x > 88.7F ? __builtin_inff() : (x == x ? result : x));
}
[[gnu::always_inline]] inline double exponential(double x) {
    return __builtin_exp(x);
}

template <class T>
[[gnu::always_inline]] inline T sigmoid(T x) {
    return T(1) / (T(1) + exponential(-x));
}

}  // namespace jlcm::JLCM_ISA
