#include "core/report/report_page.hpp"

#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/report/facets.hpp"
#include "core/report/page_parts.hpp"
#include "core/report/plot_svg.hpp"
#include "core/report/quality_plots.hpp"
#include "core/report/result_table.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/run_plots.hpp"
#include "core/report/table_formats.hpp"
#include "core/run/result.hpp"
#include "core/run/run.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace jlcm {
namespace {

using nlohmann::json;

/// Heat maps and jump lengths have a panel for each run: of more runs they are left to jlcm-plot.
constexpr std::size_t most_panels = 16;

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

/// Whether the runs' sizes differ so that a frontier has a length: by more than 2 %.
bool differ_in_bits(const std::vector<RunRecord>& runs) {
    double least = std::numeric_limits<double>::infinity();
    double most = 0;
    for (const RunRecord& run : runs) {
        const auto bits = figure_of(run, "compressed", "bits");
        if (!bits || !std::isfinite(bits->value)) continue;
        least = std::min(least, bits->value);
        most = std::max(most, bits->value);
    }
    return most > 1.02 * least;
}

/// The figures of a page, one after the other; a plot that cannot be made is said to be missing.
class Figures {
  public:
    void add(const std::function<Plot()>& make) { add_views({{"", make}}); }

    /// Several views of one thing, of which the page shows one at a time.
    void add_views(const std::vector<std::pair<std::string, std::function<Plot()>>>& views) {
        std::string buttons;
        std::string pictures;
        bool is_wide = false;
        for (const auto& [name, make] : views) {
            try {
                const Plot plot = make();
                if (!has_points(plot)) continue;
                is_wide = is_wide || plot.panels.size() > 1;
                buttons += fmt::format("<button type=\"button\"{}>{}</button>",
                                       pictures.empty() ? " class=\"on\"" : "", html_text(name));
                pictures += fmt::format("<div class=\"view\"{}>{}</div>\n", pictures.empty() ? "" : " hidden",
                                        to_svg(plot));
            } catch (const Error& error) {
                log_warning("a plot is left out: {}", error.what());
            }
        }
        if (pictures.empty()) return;
        text_ += is_wide ? "<figure class=\"wide\">\n" : "<figure>\n";
        if (views.size() > 1) text_ += "<div class=\"views\">" + buttons + "</div>\n";
        text_ += pictures + "</figure>\n";
    }

    [[nodiscard]] const std::string& text() const { return text_; }

  private:
    std::string text_;
};

void add_quality(Figures& figures, const std::vector<RunRecord>& runs) {
    const json& first = runs.front().result.at("evaluations").front();
    const std::string metric = first.at("metric");
    const std::string title = first.at("title");
    const auto frontier = [&](std::vector<std::string> x, const std::string& y, bool to_frontier) {
        return [&runs, title, x = std::move(x), y, to_frontier] {
            return frontier_plot(runs, {.x = x, .y = y, .evaluation = title, .to_frontier = to_frontier});
        };
    };
    const bool has_kl = figure_of(runs.front(), "compressed", "kl", title).has_value();
    if (differ_in_bits(runs)) {
        std::vector<std::pair<std::string, std::function<Plot()>>> views{
            {metric, frontier({"bits"}, metric, false)},
            {metric + ", distance to the best", frontier({"bits"}, metric, true)}};
        if (has_kl) views.insert(views.begin() + 1, {"KL", frontier({"bits"}, "kl", false)});
        figures.add_views(views);
    } else {
        std::vector<std::pair<std::string, std::function<Plot()>>> views{
            {metric, [&] { return ranking_plot(runs, metric, title); }}};
        if (has_kl) views.emplace_back("KL", [&] { return ranking_plot(runs, "kl", title); });
        figures.add_views(views);
    }
    figures.add(differ_in_bits(runs) ? frontier({"bytes", "minutes"}, metric, false)
                                     : frontier({"minutes"}, metric, false));
    figures.add([&] { return divergence_plot(runs, title); });
}

/// `groups`: those of all runs that compare.
std::string plots_of(const std::vector<RunRecord>& all, const std::vector<std::vector<RunRecord>>& groups) {
    Figures figures;
    for (const auto& runs : groups)
        if (runs.size() > 1 && !runs.front().result.at("evaluations").empty()) add_quality(figures, runs);
    std::vector<RunRecord> runs;
    std::ranges::copy_if(all, std::back_inserter(runs), [](const RunRecord& run) {
        return std::filesystem::is_regular_file(run.directory / "metrics.jsonl");
    });
    std::string left_out;
    if (!runs.empty()) {
        for (const char* stage : {"learn", "distill"}) figures.add([&] { return loss_plot(runs, stage); });
        figures.add([&] { return jump_plot(runs); });
        figures.add([&] { return error_plot(runs); });
        if (repeated(runs).size() <= most_panels) {
            for (const char* stage : {"learn", "distill"})
                figures.add([&] { return jump_steps_plot(runs, stage); });
            figures.add([&] { return heat_plot(runs); });
        } else {
            left_out = fmt::format(
                "<p class=\"hint\">Of more than {} runs no heat maps and no jump lengths over steps are shown here: "
                "jlcm-plot heat and jump-steps draw those of a choice (--where).</p>\n",
                most_panels);
        }
    }
    return "<div class=\"plots\">\n" + figures.text() + "</div>\n" + left_out;
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
        "<details data-runs=\"{}\"><summary>{}</summary>\n<p class=\"note\">{}{}<br>hash {}<br>model {} ({}), SHA-256 "
        "{}<br>artifact "
        "SHA-256 {}</p>\n<pre>{}</pre>\n<pre>{}</pre>\n<pre>{}</pre>\n</details>\n",
        html_text(run.id()), html_text(title_of(run)), html_text(run.directory.string()), diverged,
        html_text(run.hash()), html_text(text_at(model, "source")), html_text(text_at(model, "description")),
        html_text(text_at(model, "sha256")), html_text(text_at(result, "artifact_sha256")),
        html_text(to_yaml(run.spec)), html_text(stages),
        html_text(result.value("environment", json::object()).dump(2)));
}

}  // namespace

std::string report_page(const std::string& title, const std::vector<RunRecord>& runs) {
    std::string text = fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
        "content=\"width=device-width\">\n<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<h1>{0}</h1>\n"
        "<p>{2} runs. A click on a column's head sorts. The filter holds for tables, plots and runs alike. In a plot "
        "the pointer shows runs and figures, and a click on a name hides or shows what it names.</p>\n"
        "<input class=\"filter\" type=\"search\" placeholder=\"filter, e.g. nearest 2\" aria-label=\"filter\">"
        "<span class=\"count\"></span>\n<h2>Plots</h2>\n",
        html_text(title), page_style, runs.size());
    const auto groups = comparable(runs);
    text += plots_of(runs, groups) + "<h2>Figures</h2>\n";
    for (const auto& group : groups) text += table_of(group);
    text += "<h2>Runs</h2>\n";
    for (const RunRecord& run : runs) text += details(run);
    return text + "<div class=\"tip\" hidden></div>\n<script>" + page_script +
           "</script>\n</body>\n</html>\n";
}

}  // namespace jlcm
