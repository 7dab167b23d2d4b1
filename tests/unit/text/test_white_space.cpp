// Python's idea of white space.
#include "core/text/utf8.hpp"
#include "core/text/white_space.hpp"

#include <algorithm>
#include <array>

#include <catch2/catch.hpp>

using namespace jlcm;

TEST_CASE("white space is what Python's str.isspace says, for every code point") {
    // [i for i in range(0x110000) if chr(i).isspace()], Python 3.11 (Unicode 14)
    constexpr std::array<char32_t, 29> spaces{0x9,    0xa,    0xb,    0xc,    0xd,    0x1c,   0x1d,   0x1e,
                                              0x1f,   0x20,   0x85,   0xa0,   0x1680, 0x2000, 0x2001, 0x2002,
                                              0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a,
                                              0x2028, 0x2029, 0x202f, 0x205f, 0x3000};
    std::size_t wrong = 0;
    for (char32_t point = 0; point < 0x110000; ++point)
        wrong += is_python_space(point) != std::ranges::binary_search(spaces, point) ? 1 : 0;
    CHECK(wrong == 0);
}

TEST_CASE("white space is stripped from both ends, or from the right one") {
    CHECK(python_rstrip(" a b \t\n") == " a b");
    CHECK(python_rstrip("a\u3000\u00a0\u2028\u0085\x1c") == "a");
    CHECK(python_rstrip("a\u200b") == "a\u200b");  // no space in Unicode: of zero width, a format character
    CHECK(python_rstrip("\u3000\u3000").empty());
    CHECK(python_rstrip("").empty());
    CHECK(python_rstrip("\u20ac") == "\u20ac");
    CHECK(python_strip("\u3000 a b\x1f") == "a b");
    CHECK(python_strip(" \u2003").empty());
}
