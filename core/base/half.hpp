#pragma once
// 16-bit floats, one value at a time. Bulk conversion is a backend kernel.

#include <bit>
#include <cstdint>

namespace jlcm {

/// IEEE binary16 bits to float, exact.
[[nodiscard]] inline float float_from_f16(std::uint16_t bits) {
    return static_cast<float>(std::bit_cast<_Float16>(bits));
}

/// Float to IEEE binary16 bits, round to nearest even; overflow gives infinity.
[[nodiscard]] inline std::uint16_t f16_from_float(float value) {
    return std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
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
