#pragma once
// A table as text of some kind. Words show as they are, whatever they hold: what is special is escaped, and
// control characters are written out (core/report/printable.hpp); only CSV keeps every byte.

#include "core/report/result_table.hpp"

#include <string>

namespace jlcm {

/// Aligned, with the notes below it; in a comment behind them, the runs of every row.
[[nodiscard]] std::string to_markdown(const ResultTable& table);
/// A table environment of the package booktabs, with the runs in comments.
[[nodiscard]] std::string to_latex(const ResultTable& table);
/// RFC 4180: each figure in full precision with its standard error, and a column with the runs.
[[nodiscard]] std::string to_csv(const ResultTable& table);
/// A <table> element; a cell's title names its runs, data-value is its number; a row's data-runs has the ids of
/// its runs, apart by blanks.
[[nodiscard]] std::string to_html(const ResultTable& table);
/// For a terminal.
[[nodiscard]] std::string to_text(const ResultTable& table);

/// `text` with &, <, > and quotes as entities, and without what is no character of HTML.
[[nodiscard]] std::string html_text(const std::string& text);

}  // namespace jlcm
