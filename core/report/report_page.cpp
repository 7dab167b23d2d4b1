#include "core/report/report_page.hpp"

#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/report/result_table.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/run_plots.hpp"
#include "core/report/table_formats.hpp"
#include "core/run/result.hpp"
#include "core/run/run.hpp"

#include <algorithm>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr const char* style = R"(
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1b1b1b; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { border-bottom: 2px solid #444; cursor: pointer; user-select: none; vertical-align: bottom; }
th[aria-sort=ascending]::after { content: " \25B2"; } th[aria-sort=descending]::after { content: " \25BC"; }
th, td { padding: .2rem .7rem; } td { border-bottom: 1px solid #eee; } tr:hover td { background: #f5f8fb; }
.key { text-align: left; } .figure { text-align: right; } .scroll { overflow-x: auto; }
.note, .hint { color: #555; font-size: .85rem; margin: .3rem 0; }
input.filter { font: inherit; padding: .2rem .5rem; margin: .6rem 0; width: 20rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(34rem, 1fr)); gap: 1rem; }
.plots svg { width: 100%; height: auto; } pre { background: #f6f6f6; padding: .7rem; overflow-x: auto; font-size: .8rem; }
details { margin: .25rem 0; } summary { cursor: pointer; }
)";

constexpr const char* script = R"(
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent;
    return text !== "" && !isNaN(text) ? Number(text) : text;
  };
  const before = (a, b) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return typeof a === "number" ? a - b : a.localeCompare(b);
  };
  [...table.tHead.rows[0].cells].forEach((head, column, heads) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * before(value(a, column), value(b, column)));
    body.append(...rows);
  }));
  const filter = document.createElement("input");
  filter.className = "filter";
  filter.placeholder = "filter rows, e.g. nearest 2";
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const row of body.rows)
      row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
  });
  table.parentElement.before(filter);
}
)";

/// Runs whose evaluations compare: the same titles and protocols.
std::vector<std::vector<RunRecord>> comparable(const std::vector<RunRecord>& runs) {
    std::vector<std::vector<RunRecord>> groups;
    const auto protocols = [](const RunRecord& run) {
        json all = json::array();
        for (const json& each : run.result.at("evaluations"))
            all.push_back({each.at("title"), each.at("protocol")});
        return all;
    };
    for (const RunRecord& run : runs) {
        const auto found = std::ranges::find_if(
            groups, [&](const auto& group) { return protocols(group.front()) == protocols(run); });
        if (found == groups.end()) {
            groups.push_back({run});
        } else {
            found->push_back(run);
        }
    }
    return groups;
}

/// The runs' table, or why there can be none.
std::string table_of(const std::vector<RunRecord>& runs) {
    TableSpec spec;
    try {
        return "<div class=\"scroll\">" + to_html(make_table(spec, runs)) + "</div>\n";
    } catch (const Error&) {
        // Axes do not tell all of these runs apart: every run has a row then.
        spec.rows = {"run"};
        return "<div class=\"scroll\">" + to_html(make_table(spec, runs)) + "</div>\n";
    }
}

std::string figure(const Plot& plot) {
    return has_points(plot) ? "<figure>" + to_svg(plot) + "</figure>\n" : "";
}

bool has_metrics(const RunRecord& run) {
    return std::filesystem::is_regular_file(run.directory / "metrics.jsonl");
}

std::string plots_of(const std::vector<RunRecord>& all) {
    if (!can_draw())
        return "<p class=\"hint\">No plots: gnuplot was not on the machine that made this page.</p>\n";
    std::string text = "<div class=\"plots\">\n";
    for (const auto& runs : comparable(all)) {
        if (runs.size() < 2 || runs.front().result.at("evaluations").empty()) continue;
        const json& first = runs.front().result.at("evaluations").front();
        try {
            text += figure(frontier_plot(runs, "bits", first.at("metric"), "", first.at("title")));
        } catch (const Error& error) {
            log_warning("no plot of bits and quality: {}", error.what());
        }
    }
    std::vector<RunRecord> runs;
    std::ranges::copy_if(all, std::back_inserter(runs), has_metrics);
    if (!runs.empty()) {
        text += figure(loss_plot(runs, "learn"));
        text += figure(loss_plot(runs, "distill"));
        if (Plot jumps = jump_plot(runs); !jumps.bars.empty()) text += figure(jumps);
        text += figure(error_plot(runs));
    }
    return text + "</div>\n";
}

std::string details(const RunRecord& run) {
    const json& result = run.result;
    std::string stages;
    for (const json& stage : result.at("stages")) {
        const auto spared = recorded_figure(stage.value("cached", json()), "seconds");
        stages += fmt::format("{:<12}{:>9.1f} s{:>9.0f} MB{}\n", text_at(stage, "name"),
                              recorded_figure(stage, "seconds").value_or(not_a_number),
                              recorded_figure(stage, "peak_memory_bytes").value_or(not_a_number) / 1e6,
                              spared ? fmt::format(", {:.1f} s spared by the stage cache", *spared) : "");
    }
    const json model = result.value("model", json());
    std::string diverged;
    for (const std::string& line : not_finite(result)) diverged += "<br><b>" + html_text(line) + "</b>";
    return fmt::format(
        "<details><summary>{}</summary>\n<p class=\"note\">{}{}<br>hash {}<br>model {} ({}), SHA-256 "
        "{}<br>artifact "
        "SHA-256 {}</p>\n<pre>{}</pre>\n<pre>{}</pre>\n<pre>{}</pre>\n</details>\n",
        html_text(title_of(run)), html_text(run.directory.string()), diverged, html_text(run.hash()),
        html_text(text_at(model, "source")), html_text(text_at(model, "description")),
        html_text(text_at(model, "sha256")), html_text(text_at(result, "artifact_sha256")),
        html_text(to_yaml(run.spec)), html_text(stages),
        html_text(result.value("environment", json::object()).dump(2)));
}

}  // namespace

std::string report_page(const std::string& title, const std::vector<RunRecord>& runs) {
    std::string text = fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
        "content=\"width=device-width\">\n<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<h1>{0}</"
        "h1>\n"
        "<p>{2} runs. A click on a column's head sorts; the runs behind a figure show when the pointer rests "
        "on "
        "it.</p>\n<h2>Figures</h2>\n",
        html_text(title), style, runs.size());
    for (const auto& group : comparable(runs)) text += table_of(group);
    text += "<h2>Plots</h2>\n" + plots_of(runs) + "<h2>Runs</h2>\n";
    for (const RunRecord& run : runs) text += details(run);
    return text + "<script>" + script + "</script>\n</body>\n</html>\n";
}

}  // namespace jlcm
