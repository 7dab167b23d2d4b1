#pragma once
// Steps of 8-bit activations, for isa_*.cpp only: hence in namespace JLCM_ISA. Plain loops that the compiler
// vectorises; sums in 16 lanes, so that they are equal to the bit on every instruction set.

#include <cstdint>

namespace jlcm::JLCM_ISA {

/// A block's activations as integers, and what belongs to it.
struct QuantisedBlock {
    float step;  ///< NaN if an activation is none or infinite; the integers are zeros then
    float sum;
};

/// `x`: `count` activations, a multiple of 16. integers[i]: x / step to the nearest, within -127..127.
[[gnu::always_inline]] inline QuantisedBlock quantise_block(const float* x, std::int64_t count,
                                                            std::int32_t* integers) {
    constexpr std::int32_t infinity = 0x7f800000;
    constexpr float least_normal = 0x1p-126F;
    constexpr float magic = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
    constexpr std::int32_t magic_bits = 0x4b400000;
    std::int32_t greatest[16] = {};  // magnitudes, whose bits are in order; NaN is above infinity
    float sums[16] = {};
    for (std::int64_t i = 0; i < count; i += 16) {
        for (int lane = 0; lane < 16; ++lane) {
            const std::int32_t bits = __builtin_bit_cast(std::int32_t, x[i + lane]) & 0x7fffffff;
            greatest[lane] = bits > greatest[lane] ? bits : greatest[lane];
            sums[lane] += x[i + lane];
        }
    }
    for (int half = 8; half >= 1; half /= 2) {
        for (int lane = 0; lane < half; ++lane) {
            greatest[lane] = greatest[lane + half] > greatest[lane] ? greatest[lane + half] : greatest[lane];
            sums[lane] += sums[lane + half];
        }
    }
    if (greatest[0] >= infinity) {
        for (std::int64_t i = 0; i < count; ++i) integers[i] = 0;
        return {__builtin_nanf(""), __builtin_nanf("")};
    }
    const float step = __builtin_bit_cast(float, greatest[0]) / 127.0F;
    const float used = step > least_normal ? step : least_normal;
    const float inverse = 1.0F / used;
    for (std::int64_t i = 0; i < count; ++i)
        integers[i] = __builtin_bit_cast(std::int32_t, x[i] * inverse + magic) - magic_bits;
    return {used, sums[0]};
}

}  // namespace jlcm::JLCM_ISA
