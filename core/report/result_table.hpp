#pragma once
// A table of runs: rows of averaged figures, each cell with the runs it comes from.

#include "core/report/run_records.hpp"
#include "core/report/table_spec.hpp"

#include <optional>
#include <string>
#include <vector>

namespace jlcm {

struct TableCell {
    std::string text;             ///< as shown, UTF-8; "-" where there is nothing
    std::optional<double> value;  ///< none for keys, and where there is nothing
    std::optional<double> error;
    bool is_best = false;
    std::vector<std::size_t> runs;  ///< whose figures it is made of
};

struct TableColumn {
    std::string group;  ///< value of the pivot; empty without one
    std::string title;
    bool is_key = false;  ///< words on the left, not figures
};

struct TableRow {
    std::vector<TableCell> cells;  ///< one a column
    bool begins_section = false;
};

struct ResultTable {
    std::string title;
    std::vector<TableColumn> columns;
    std::vector<TableRow> rows;
    std::vector<std::string> notes;  ///< protocols of the columns, what stars mean
    std::vector<std::string> runs;   ///< directories, by the numbers in the cells
    std::vector<std::string> ids;    ///< RunRecord::id() of the same
};

/// Input errors: a key or value that no run has; runs in one row that differ in more than their seed; figures
/// of different protocols in one column (naming the runs); a baseline that is not there.
[[nodiscard]] ResultTable make_table(const TableSpec& spec, const std::vector<RunRecord>& runs);

}  // namespace jlcm
