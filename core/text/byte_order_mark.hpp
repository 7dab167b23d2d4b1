#pragma once
// The mark that some programs put in front of a text file.

#include <string_view>

namespace jlcm {

/// `text` without UTF-8's mark in front. An input error where the mark is UTF-16's.
[[nodiscard]] std::string_view without_byte_order_mark(std::string_view text);

}  // namespace jlcm
