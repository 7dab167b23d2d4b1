#pragma once
// 16-bit floats, one value at a time. Bulk conversion is a backend kernel.

#include <bit>
#include <cstdint>

namespace jlcm {

// The binary16 conversions use integer and float32 arithmetic alone: without hardware support _Float16 is a
// library call a value, and these vectorise.

/// IEEE binary16 bits to float, exact.
[[nodiscard]] inline float float_from_f16(std::uint16_t bits) {
    const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fffU) << 13;
    // The exponent's bias changes from 15 to 127, for denormals too; infinity and NaN keep the largest
    // exponent.
    std::uint32_t result = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
    if (magnitude >= 0x0f800000U) result |= 0x7f800000U;
    return std::bit_cast<float>(result | static_cast<std::uint32_t>(bits & 0x8000U) << 16);
}

/// Float to IEEE binary16 bits, round to nearest even; overflow gives infinity, NaN stays NaN.
[[nodiscard]] inline std::uint16_t f16_from_float(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t magnitude = bits & 0x7fffffffU;
    // Normal results: move the bias from 127 to 15 and round the 13 bits that go.
    std::uint32_t result = (magnitude - 0x38000000U + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
    // Denormal results: adding 0.5 makes the hardware round at 2^-24, the last bit of 0.5's fraction.
    if (magnitude < 0x38800000U)
        result = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000U;
    if (magnitude >= 0x47800000U) result = magnitude > 0x7f800000U ? 0x7e00U : 0x7c00U;
    return static_cast<std::uint16_t>(result | (bits >> 16 & 0x8000U));
}

/// The binary16 value nearest to a float: what is left of it when it is stored.
[[nodiscard]] inline float f16_rounded(float value) {
    return float_from_f16(f16_from_float(value));
}

/// bfloat16 bits to float, exact.
[[nodiscard]] inline float float_from_bf16(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Float to bfloat16 bits, round to nearest even; NaN stays NaN.
[[nodiscard]] inline std::uint16_t bf16_from_float(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
    return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace jlcm
