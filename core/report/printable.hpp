#pragma once
// Words that come from specs, files and plugins, on one line and harmless to a terminal.

#include <string>

namespace jlcm {

/// `text` as valid UTF-8 without what is no character of a line: control characters (line breaks, tabs,
/// escape sequences of terminals), line separators and changes of direction are written as \n, \t, \x1b,
/// \u2028.
[[nodiscard]] std::string printable(const std::string& text);

/// `text`, printable, as Markdown that shows it in a cell of a table: what would end the cell, begin a tag of
/// HTML or name a character is escaped. Emphasis is left: tables set their bests in bold.
[[nodiscard]] std::string markdown_text(const std::string& text);

}  // namespace jlcm
