#pragma once
// UTF-8: making bytes valid, and walking over code points.

#include <cstddef>
#include <string>
#include <string_view>

namespace jlcm {

/// `bytes` with each maximal ill-formed part replaced by U+FFFD (Unicode 15, section 3.9, "U+FFFD
/// substitution of maximal subparts"; Python's bytes.decode(errors="replace")). Valid text comes back as it
/// is.
[[nodiscard]] std::string valid_utf8(std::string_view bytes);

/// Bytes of the code point that starts with `lead`, which must start one in valid UTF-8.
[[nodiscard]] constexpr std::size_t utf8_length(char lead) {
    const auto byte = static_cast<unsigned char>(lead);
    if (byte < 0x80) return 1;
    if (byte < 0xE0) return 2;
    return byte < 0xF0 ? 3 : 4;
}

/// The code point at the start of valid, non-empty UTF-8.
[[nodiscard]] char32_t first_code_point(std::string_view text);

/// The last character of valid UTF-8; empty for an empty text.
[[nodiscard]] std::string_view last_character(std::string_view text);

}  // namespace jlcm
