#pragma once
// Characters that the Unicode data of the `tokenizers` library (0.21) doesn't know what they are. Each of its
// crates has data of another version, some of 2015: tokens of a text are the library's only if they are not
// known here either.

namespace jlcm {

/// A mark (M*) that is none in Unicode 9.
[[nodiscard]] bool is_later_mark(char32_t point);
/// A non-spacing mark (Mn) that is none in Unicode 8.
[[nodiscard]] bool is_later_nonspacing_mark(char32_t point);
/// No mark any more, but one (M*) in Unicode 9.
[[nodiscard]] constexpr bool is_former_mark(char32_t point) {
    return point == 0x1CF2 || point == 0x1CF3;
}
/// No non-spacing mark any more, but one in Unicode 8.
[[nodiscard]] constexpr bool is_former_nonspacing_mark(char32_t point) {
    return point == 0x1734;
}
/// A format character (Cf) that is none in Unicode 8.
[[nodiscard]] bool is_later_format(char32_t point);
/// A character without a decomposition in Unicode 12.
[[nodiscard]] bool is_later_decomposition(char32_t point);

}  // namespace jlcm
