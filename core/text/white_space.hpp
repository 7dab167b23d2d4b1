#pragma once
// White space as Python's str methods see it, for rules that are written in Python.

#include <string_view>

namespace jlcm {

/// Whether str.isspace() holds: Unicode's characters of the bidirectional type WS, B or S, or of the category
/// Zs. Unlike White_Space it includes U+001C to U+001F.
[[nodiscard]] bool is_python_space(char32_t point);

/// str.rstrip() and str.strip() of valid UTF-8: views into `text`.
[[nodiscard]] std::string_view python_rstrip(std::string_view text);
[[nodiscard]] std::string_view python_strip(std::string_view text);

}  // namespace jlcm
