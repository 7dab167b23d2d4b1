#include "core/report/table_formats.hpp"

#include "core/report/printable.hpp"
#include "core/report/run_table.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace jlcm {
namespace {

std::string heading(const TableColumn& column) {
    return column.group.empty() ? column.title : column.group + ": " + column.title;
}

/// What `of` says of the runs that any cell of the row is made of.
std::string runs_of(const std::vector<std::string>& of, const TableRow& row, const char* separator) {
    std::vector<std::size_t> runs;
    for (const TableCell& cell : row.cells) runs.insert(runs.end(), cell.runs.begin(), cell.runs.end());
    std::ranges::sort(runs);
    const auto rest = std::ranges::unique(runs);
    runs.erase(rest.begin(), rest.end());
    std::string text;
    for (const std::size_t run : runs) text += (text.empty() ? "" : separator) + of[run];
    return text;
}

std::string keys_of(const ResultTable& table, const TableRow& row) {
    std::string text;
    for (std::size_t c = 0; c < row.cells.size(); ++c)
        if (table.columns[c].is_key) text += (text.empty() ? "" : ", ") + row.cells[c].text;
    return text;
}

/// On a line of a comment of HTML, which "--" may end.
std::string comment_text(const std::string& text) {
    std::string result;
    for (const char c : printable(text)) {
        if (c == '-' && !result.empty() && result.back() == '-') result += ' ';
        result += c;
    }
    return result;
}

std::string replaced(const std::string& text, const std::vector<std::pair<char, std::string>>& replacements) {
    std::string result;
    for (const char c : text) {
        const auto found = std::ranges::find(replacements, c, &std::pair<char, std::string>::first);
        if (found == replacements.end()) {
            result += c;
        } else {
            result += found->second;
        }
    }
    return result;
}

std::string with(std::string text, const std::string& what, const std::string& by) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
    return text;
}

std::string latex_text(const std::string& text) {
    const std::string escaped = replaced(printable(text), {{'&', "\\&"},
                                                           {'%', "\\%"},
                                                           {'$', "\\$"},
                                                           {'#', "\\#"},
                                                           {'_', "\\_"},
                                                           {'{', "\\{"},
                                                           {'}', "\\}"},
                                                           {'~', "\\textasciitilde{}"},
                                                           {'^', "\\textasciicircum{}"},
                                                           {'\\', "\\textbackslash{}"},
                                                           {'<', "\\textless{}"},
                                                           {'>', "\\textgreater{}"}});
    return with(with(with(escaped, "±", "$\\pm$"), "Δ", "$\\Delta$"), " \\%", "\\,\\%");
}

std::string csv_text(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    return '"' + with(text, "\"", "\"\"") + '"';
}

/// The shortest text that reads back as the same number.
std::string exact(const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : "";
}

}  // namespace

std::string html_text(const std::string& text) {
    // Line breaks and tabs are characters of HTML, other controls are none.
    std::string shown;
    std::size_t begin = 0;
    for (std::size_t at = text.find_first_of("\n\t"); at != std::string::npos;
         at = text.find_first_of("\n\t", begin)) {
        shown += printable(text.substr(begin, at - begin)) + text[at];
        begin = at + 1;
    }
    shown += printable(text.substr(begin));
    return replaced(shown, {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}});
}

std::string to_markdown(const ResultTable& table) {
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;
    std::size_t keys = 0;
    for (const TableColumn& column : table.columns) {
        header.push_back(heading(column));
        keys += column.is_key ? 1 : 0;
    }
    for (const TableRow& row : table.rows) {
        auto& cells = rows.emplace_back();
        for (const TableCell& cell : row.cells)
            cells.push_back(cell.is_best ? "**" + cell.text + "**" : cell.text);
    }
    std::string text = table.title.empty() ? "" : markdown_text(table.title) + "\n\n";
    text += markdown_table(header, rows, keys);
    for (const std::string& note : table.notes) text += "\n" + markdown_text(note) + "\n";
    text += "\n<!-- runs\n";
    for (const TableRow& row : table.rows)
        text +=
            comment_text(fmt::format("{}: {}", keys_of(table, row), runs_of(table.runs, row, " "))) + "\n";
    return text + "-->\n";
}

std::string to_latex(const ResultTable& table) {
    std::string text = "% \\usepackage{booktabs}\n\\begin{table}\n\\centering\n";
    if (!table.title.empty()) text += "\\caption{" + latex_text(table.title) + "}\n";
    text += "\\begin{tabular}{";
    for (const TableColumn& column : table.columns) text += column.is_key ? 'l' : 'r';
    text += "}\n\\toprule\n";
    const bool has_groups =
        std::ranges::any_of(table.columns, [](const auto& column) { return !column.group.empty(); });
    if (has_groups) {
        std::string rules;
        for (std::size_t c = 0; c < table.columns.size();) {
            std::size_t end = c + 1;
            while (end < table.columns.size() && table.columns[end].group == table.columns[c].group) ++end;
            if (c > 0) text += " & ";
            text +=
                fmt::format("\\multicolumn{{{}}}{{c}}{{{}}}", end - c, latex_text(table.columns[c].group));
            if (!table.columns[c].group.empty()) rules += fmt::format("\\cmidrule(lr){{{}-{}}}", c + 1, end);
            c = end;
        }
        text += " \\\\\n" + rules + "\n";
    }
    const auto line = [&](const auto& cells, const auto& show) {
        std::string joined;
        for (std::size_t c = 0; c < cells.size(); ++c) joined += (c == 0 ? "" : " & ") + show(cells[c]);
        return joined + " \\\\\n";
    };
    text += line(table.columns, [](const TableColumn& column) { return latex_text(column.title); }) +
            "\\midrule\n";
    for (const TableRow& row : table.rows) {
        if (row.begins_section) text += "\\midrule\n";
        text += "% " + printable(runs_of(table.runs, row, " ")) + "\n";
        text += line(row.cells, [](const TableCell& cell) {
            const std::string shown = cell.text == "-" ? "--" : latex_text(cell.text);
            return cell.is_best ? "\\textbf{" + shown + "}" : shown;
        });
    }
    text += "\\bottomrule\n\\end{tabular}\n";
    for (const std::string& note : table.notes) text += "% " + printable(note) + "\n";
    return text + "\\end{table}\n";
}

std::string to_csv(const ResultTable& table) {
    std::string text;
    for (const TableColumn& column : table.columns) {
        text += csv_text(heading(column)) + ',';
        if (!column.is_key) text += csv_text(heading(column) + ", standard error") + ',';
    }
    text += "runs\r\n";
    for (const TableRow& row : table.rows) {
        for (std::size_t c = 0; c < row.cells.size(); ++c) {
            const TableCell& cell = row.cells[c];
            text += table.columns[c].is_key ? csv_text(cell.text) + ','
                                            : exact(cell.value) + ',' + exact(cell.error) + ',';
        }
        text += csv_text(runs_of(table.runs, row, " ")) + "\r\n";
    }
    return text;
}

std::string to_html(const ResultTable& table) {
    std::string text = "<table>\n";
    if (!table.title.empty()) text += "<caption>" + html_text(table.title) + "</caption>\n";
    text += "<thead><tr>";
    for (const TableColumn& column : table.columns)
        text += fmt::format("<th class=\"{}\">{}</th>", column.is_key ? "key" : "figure",
                            html_text(heading(column)));
    text += "</tr></thead>\n<tbody>\n";
    for (const TableRow& row : table.rows) {
        text += fmt::format("<tr{} data-runs=\"{}\">", row.begins_section ? " class=\"section\"" : "",
                            runs_of(table.ids, row, " "));
        for (std::size_t c = 0; c < row.cells.size(); ++c) {
            const TableCell& cell = row.cells[c];
            std::string runs;
            for (const std::size_t run : cell.runs) runs += (runs.empty() ? "" : "\n") + table.runs[run];
            text += fmt::format("<td class=\"{}\"", table.columns[c].is_key ? "key" : "figure");
            if (cell.value) text += fmt::format(" data-value=\"{}\"", exact(cell.value));
            if (!runs.empty()) text += fmt::format(" title=\"{}\"", html_text(runs));
            const std::string shown = html_text(cell.text);
            text += ">" + (cell.is_best ? "<b>" + shown + "</b>" : shown) + "</td>";
        }
        text += "</tr>\n";
    }
    text += "</tbody>\n</table>\n";
    for (const std::string& note : table.notes) text += "<p class=\"note\">" + html_text(note) + "</p>\n";
    return text;
}

std::string to_text(const ResultTable& table) {
    std::vector<std::vector<std::string>> lines(1);
    for (const TableColumn& column : table.columns) lines.front().push_back(printable(heading(column)));
    for (const TableRow& row : table.rows) {
        auto& line = lines.emplace_back();
        for (const TableCell& cell : row.cells)
            line.push_back(printable(cell.text) + (cell.is_best ? " <" : ""));
    }
    std::vector<std::size_t> widths(table.columns.size());
    for (const auto& line : lines)
        for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], width_of(line[c]));
    std::string text = table.title.empty() ? "" : printable(table.title) + "\n\n";
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (i > 0 && table.rows[i - 1].begins_section) text += '\n';
        std::string line;
        for (std::size_t c = 0; c < widths.size(); ++c) {
            const std::string space(widths[c] - width_of(lines[i][c]), ' ');
            line +=
                (c == 0 ? "" : "  ") + (table.columns[c].is_key ? lines[i][c] + space : space + lines[i][c]);
        }
        text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
    }
    for (const std::string& note : table.notes) text += "\n" + printable(note) + "\n";
    return text;
}

}  // namespace jlcm
