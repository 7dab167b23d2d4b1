#pragma once
// Code points as UTF-8.

#include <cstdint>
#include <string>

namespace jlcm {

/// The UTF-8 form of a code point, a surrogate's too.
inline std::string utf8_from(char32_t code_point) {
    const auto value = static_cast<std::uint32_t>(code_point);
    const auto tail = [&](unsigned shift) { return static_cast<char>(0x80U | ((value >> shift) & 0x3FU)); };
    if (value < 0x80) return {static_cast<char>(value)};
    if (value < 0x800) return {static_cast<char>(0xC0U | (value >> 6U)), tail(0)};
    if (value < 0x10000) return {static_cast<char>(0xE0U | (value >> 12U)), tail(6), tail(0)};
    return {static_cast<char>(0xF0U | (value >> 18U)), tail(12), tail(6), tail(0)};
}

}  // namespace jlcm
