#include "core/text/utf8.hpp"
#include "tests/support/utf8_text.hpp"

#include <catch2/catch.hpp>

using namespace jlcm;

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

TEST_CASE("the last character of a text is found from its end") {
    CHECK(last_character("").empty());
    for (const char32_t point : {0x41U, 0xE9U, 0x4E2DU, 0x1F642U}) {
        const std::string character = utf8_from(point);
        CHECK(last_character(character) == character);
        CHECK(last_character("x\u00E9" + character) == character);
    }
}
