#include "core/text/utf8.hpp"

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

/// The UTF-8 form of a code point.
std::string utf8_from(char32_t code_point) {
    const auto value = static_cast<std::uint32_t>(code_point);
    const auto tail = [&](unsigned shift) { return static_cast<char>(0x80U | ((value >> shift) & 0x3FU)); };
    if (value < 0x80) return {static_cast<char>(value)};
    if (value < 0x800) return {static_cast<char>(0xC0U | (value >> 6U)), tail(0)};
    if (value < 0x10000) return {static_cast<char>(0xE0U | (value >> 12U)), tail(6), tail(0)};
    return {static_cast<char>(0xF0U | (value >> 18U)), tail(12), tail(6), tail(0)};
}

}  // namespace

TEST_CASE("valid UTF-8 comes back as it is") {
    for (const std::string text : {"", "plain", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                                   "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
        CHECK(valid_utf8(text) == text);
}

TEST_CASE("each maximal ill-formed part of UTF-8 becomes one U+FFFD") {
    CHECK(valid_utf8("\x80x") == "\uFFFDx");
    CHECK(valid_utf8("\xC0\xAF") == "\uFFFD\uFFFD");                      // overlong
    CHECK(valid_utf8("\xE0\x80\xAF") == "\uFFFD\uFFFD\uFFFD");            // overlong
    CHECK(valid_utf8("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");            // surrogate
    CHECK(valid_utf8("\xF4\x90\x80\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD");  // above U+10FFFF
    CHECK(valid_utf8("\xF0\x9F\x98") == "\uFFFD");                        // cut off at the end
    CHECK(valid_utf8("\xF0\x9F\x98\xE4\xB8x\xC3") == "\uFFFD\uFFFDx\uFFFD");
    CHECK(valid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") ==
          "\uFFFD\uFFFD\uFFFD\uFFFDA");  // Unicode 15, table 3-11
}

TEST_CASE("every code point survives encoding and decoding") {
    for (char32_t code = 0; code <= 0x10FFFF; ++code) {
        if (code >= 0xD800 && code <= 0xDFFF) continue;
        const std::string text = utf8_from(code);
        if (valid_utf8(text) != text || first_code_point(text) != code || utf8_length(text[0]) != text.size())
            FAIL("code point " << static_cast<std::uint32_t>(code));
    }
}
