#include "core/text/utf8.hpp"

#include <cstdint>

namespace jlcm {

namespace {

/// What the bytes at the front of a text are: `length` of them, a code point or an ill-formed part.
struct Sequence {
    std::size_t length = 1;
    bool valid = false;
};

Sequence next_sequence(std::string_view bytes) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned lead = at(0);
    if (lead < 0x80) return {1, true};
    // Table 3-7 of the Unicode standard: the second byte is narrower for E0, ED, F0 and F4.
    std::size_t length = 0;
    unsigned low = 0x80;
    unsigned high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
    } else {
        return {1, false};
    }
    for (std::size_t i = 1; i < length; ++i) {
        if (i >= bytes.size() || at(i) < low || at(i) > high) return {i, false};
        low = 0x80;
        high = 0xBF;
    }
    return {length, true};
}

}  // namespace

std::string valid_utf8(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    while (!bytes.empty()) {
        const Sequence next = next_sequence(bytes);
        text += next.valid ? bytes.substr(0, next.length) : std::string_view("\xEF\xBF\xBD");
        bytes.remove_prefix(next.length);
    }
    return text;
}

char32_t first_code_point(std::string_view text) {
    const std::size_t length = utf8_length(text[0]);
    const auto lead = static_cast<std::uint32_t>(static_cast<unsigned char>(text[0]));
    if (length == 1) return static_cast<char32_t>(lead);
    std::uint32_t value = lead & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i)
        value = (value << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
    return static_cast<char32_t>(value);
}

std::string_view last_character(std::string_view text) {
    std::size_t begin = text.size();
    while (begin > 0 && (static_cast<unsigned char>(text[--begin]) & 0xC0U) == 0x80U) {
    }
    return text.substr(begin);
}

}  // namespace jlcm
