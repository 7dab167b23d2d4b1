#pragma once
// Methods of Python's str on valid UTF-8, which is what templates think of texts: lengths and indices count
// code points.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm::jinja::python {

/// The characters of `text`, as views into it.
[[nodiscard]] std::vector<std::string_view> characters(std::string_view text);
[[nodiscard]] std::int64_t length(std::string_view text);

enum class Side : std::uint8_t { left, right, both };

/// str.strip, lstrip, rstrip: of white space, or of the characters of `set`. A view into `text`.
[[nodiscard]] std::string_view strip(std::string_view text, std::optional<std::string_view> set, Side side);

/// str.split (from the left) and str.rsplit (from the right): at white space, or at `separator`, which must
/// not be empty; at most `most` cuts, if that is not negative.
[[nodiscard]] std::vector<std::string> split(std::string_view text, std::optional<std::string_view> separator,
                                             std::int64_t most, Side from);
[[nodiscard]] std::vector<std::string> split_lines(std::string_view text, bool keep_ends);

/// str.replace; at most `most` times, if that is not negative.
[[nodiscard]] std::string replace(std::string_view text, std::string_view old, std::string_view by,
                                  std::int64_t most);

/// The index of the first or the last place of `part`, in characters; -1 if there is none.
[[nodiscard]] std::int64_t find(std::string_view text, std::string_view part, Side from);

/// Characters whose case changes their number, or by what stands beside them, are refused by name.
[[nodiscard]] std::string upper(std::string_view text);
[[nodiscard]] std::string lower(std::string_view text);
[[nodiscard]] std::string capitalize(std::string_view text);
[[nodiscard]] std::string title(std::string_view text);

/// str.isupper and its like, by the method's name without "is": upper, lower, space, digit, alpha, alnum.
[[nodiscard]] bool is_all(std::string_view text, std::string_view what);

/// repr(text): quoted and escaped.
[[nodiscard]] std::string quoted(std::string_view text);

/// repr(value): the shortest digits that read as the same number.
[[nodiscard]] std::string repr(double value);

/// The inside of a string literal with its escapes resolved.
[[nodiscard]] std::string unescaped(std::string_view literal);

/// `point` as UTF-8; a surrogate or what is beyond Unicode is refused.
void append_utf8(std::string& text, std::uint32_t point);

}  // namespace jlcm::jinja::python
