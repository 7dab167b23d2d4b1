#include "core/report/quality_plots.hpp"

#include "core/base/error.hpp"
#include "core/report/facets.hpp"
#include "core/report/result_table.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/statistics.hpp"
#include "core/run/result.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

namespace jlcm {
namespace {

using nlohmann::json;
using Better = FigureStyle::Better;

/// A row of a table as plots take it.
struct Row {
    Labels labels;
    std::vector<double> x;  ///< NaN: none
    double y = 0;
    double error = 0;
    std::vector<std::string> runs;
};

ColumnChoice column(const std::string& value, const std::string& evaluation = {}) {
    ColumnChoice choice;
    choice.value = value;
    choice.evaluation = evaluation;
    return choice;
}

/// The rows of a table whose last column is y and those before it x.
std::vector<Row> rows_of(const ResultTable& table, std::size_t figures) {
    const std::size_t keys = table.columns.size() - figures;
    std::vector<Row> rows;
    for (const TableRow& each : table.rows) {
        Row row;
        for (std::size_t c = 0; c < keys; ++c)
            row.labels.emplace_back(table.columns[c].title, each.cells[c].text);
        for (std::size_t c = keys; c + 1 < table.columns.size(); ++c)
            row.x.push_back(each.cells[c].value.value_or(not_a_number));
        const TableCell& y = each.cells.back();
        if (!y.value) continue;
        row.y = *y.value;
        row.error = y.error.value_or(0);
        for (const std::size_t run : y.runs) row.runs.push_back(table.ids[run]);
        rows.push_back(std::move(row));
    }
    return rows;
}

Labels without(const Labels& labels, const std::string& axis) {
    Labels rest = labels;
    std::erase_if(rest, [&](const auto& label) { return label.first == axis; });
    return rest;
}

bool are_numbers(const std::vector<Row>& rows, const std::string& axis) {
    return std::ranges::all_of(
        rows, [&](const Row& row) { return number_in(*find(row.labels, axis)).has_value(); });
}

/// The axis of numbers along which x grows most while all others stay; empty where none does: each run is a point
/// of its own then.
std::string along_curve(const std::vector<Row>& rows) {
    std::string best;
    double longest = 0;
    for (const auto& label : rows.front().labels) {
        const std::string& axis = label.first;
        if (!are_numbers(rows, axis)) continue;
        std::map<Labels, std::pair<double, double>> ranges;
        for (const Row& row : rows) {
            const double x = row.x.front();
            if (!std::isfinite(x)) continue;
            auto& range = ranges.try_emplace(without(row.labels, axis), x, x).first->second;
            range = {std::min(range.first, x), std::max(range.second, x)};
        }
        double length = 0;
        for (const auto& [labels, range] : ranges) length += range.second - range.first;
        if (length > longest) best = axis;
        longest = std::max(longest, length);
    }
    return best;
}

/// The best figures at no more of x, in ascending order of x.
std::vector<std::pair<double, double>> best_of(const std::vector<Row>& rows, std::size_t x, Better better) {
    std::vector<std::pair<double, double>> points;
    for (const Row& row : rows)
        if (std::isfinite(row.x[x]) && std::isfinite(row.y)) points.emplace_back(row.x[x], row.y);
    const auto is_better = [&](double a, double b) { return better == Better::high ? a > b : a < b; };
    std::ranges::sort(points, [&](const auto& a, const auto& b) {
        return a.first != b.first ? a.first < b.first : is_better(a.second, b.second);
    });
    std::vector<std::pair<double, double>> best;
    for (const auto& point : points)
        if (best.empty() || is_better(point.second, best.back().second)) best.push_back(point);
    return best;
}

/// How far each figure is from the best at no more of x: a ratio where low is good, otherwise a difference.
std::vector<Row> to_frontier(std::vector<Row> rows, Better better) {
    const auto best = best_of(rows, 0, better);
    for (Row& row : rows) {
        double reference = not_a_number;
        for (const auto& [x, y] : best)
            if (x <= row.x.front()) reference = y;
        row.error = better == Better::high ? row.error : row.error / reference;
        row.y = better == Better::high ? row.y - reference : row.y / reference;
    }
    return rows;
}

/// The original's figure where all runs have the same, but for the rounding of other machines.
std::optional<double> original_of(const std::vector<RunRecord>& runs, const std::string& figure,
                                  const std::string& evaluation) {
    std::optional<double> value;
    for (const RunRecord& run : runs) {
        const auto own = figure_of(run, "original", figure, evaluation);
        if (!own || (value && std::abs(own->value - *value) > 2e-3 * std::abs(*value))) return std::nullopt;
        if (!value) value = own->value;
    }
    return value;
}

/// The series of a panel that has the facet's title; it is made if there is none.
PlotSeries& series_with(PlotPanel& panel, const Facet& facet, Mark mark) {
    const auto found = std::ranges::find_if(panel.series, [&](const PlotSeries& series) {
        return series.title == facet.title && !series.is_context;
    });
    if (found != panel.series.end()) return *found;
    return panel.series.emplace_back(PlotSeries{.title = facet.title, .style = facet.style, .mark = mark});
}

/// What rests under the pointer: the run and its figures.
std::string note_of(const Row& row, const std::vector<std::string>& names, const std::string& y) {
    std::string note = to_string(row.labels) + "\n";
    for (std::size_t x = 0; x < row.x.size(); ++x) note += fmt::format("{} {:.5g}, ", names[x], row.x[x]);
    note += fmt::format("{} {:.5g}", y, row.y);
    return row.error > 0 ? note + fmt::format(" ± {:.2g}", row.error) : note;
}

void add_remark(PlotPanel& panel, const std::string& words) {
    panel.remark += (panel.remark.empty() ? "no finite figure: " : ", ") + words;
}

/// Joins the points of each series if x grows from one to the next in all of them: lines that go back and forth
/// say nothing.
void join(PlotPanel& panel) {
    const auto goes_on = [](const PlotSeries& series) {
        return std::ranges::is_sorted(series.points, {}, &PlotPoint::x);
    };
    const auto has_several = [](const PlotSeries& series) { return series.points.size() > 1; };
    if (!std::ranges::all_of(panel.series, goes_on) || std::ranges::none_of(panel.series, has_several))
        return;
    for (PlotSeries& series : panel.series) series.mark = Mark::joined;
}

Facets facets_for(const std::vector<Row>& rows, const FrontierOptions& options, const std::string& along) {
    std::vector<Labels> things;
    for (const Row& row : rows) {
        if (options.series.empty()) {
            things.push_back(without(row.labels, along));
            continue;
        }
        const std::string* value = find(row.labels, options.series);
        require(value != nullptr, "there is no axis \"{}\" to make lines of", options.series);
        things.push_back({{options.series, *value}});
    }
    Facets facets = facets_of(things);
    // Figures side by side have one panel each.
    if (options.x.size() > 1 || facets.shows_others) facets.merge();
    return facets;
}

/// The best of all panels, in grey.
PlotSeries context_of(const std::vector<Row>& rows, std::size_t x, Better better) {
    PlotSeries context;
    context.title = "best of all";
    for (const auto& [at_x, y] : best_of(rows, x, better)) context.points.push_back({.x = at_x, .y = y});
    context.is_context = true;
    return context;
}

/// A quantile of KL over the middles of ranges of confidence: means of runs, each of which has a list of ranges.
std::vector<PlotPoint> confidence_curve(const std::vector<json>& lists, const char* quantile) {
    std::map<double, std::vector<double>> values;
    for (const json& list : lists)
        for (const json& range : list)
            values[(range.at("from").get<double>() + range.at("to").get<double>()) / 2].push_back(
                recorded_figure(range, quantile).value_or(not_a_number));
    std::vector<PlotPoint> points;
    for (const auto& [confidence, own] : values) {
        const auto [mean, error] = mean_and_error(own);
        points.push_back({.x = confidence, .y = mean, .error = error.value_or(0)});
    }
    return points;
}

}  // namespace

Plot frontier_plot(const std::vector<RunRecord>& runs, const FrontierOptions& options) {
    TableSpec spec;
    for (const std::string& x : options.x) spec.columns.push_back(column(x));
    spec.columns.push_back(column(options.y, options.evaluation));
    for (const auto& [value, name] : options.names) spec.names.entry(value).value = Config::string(name);
    const bool is_axis = std::ranges::any_of(
        runs, [&](const RunRecord& run) { return find(run.labels, options.series) != nullptr; });
    if (!options.series.empty() && !is_axis) spec.rows = {options.series};
    const bool is_difference = !options.baseline.first.empty();
    if (is_difference) {
        spec.columns.back().versus = Versus::difference;
        spec.baseline.entry(options.baseline.first).value = Config::string(options.baseline.second);
    }
    const ResultTable table = make_table(spec, runs);
    auto rows = rows_of(table, options.x.size() + 1);
    const FigureStyle style = style_of(options.y);
    if (options.to_frontier) rows = to_frontier(std::move(rows), style.better);
    const std::string along = rows.empty() || !options.series.empty() ? "" : along_curve(rows);
    const Facets facets = facets_for(rows, options, along);

    const bool is_relative = is_difference || options.to_frontier;
    std::string against = fmt::format("{} against ", style.title);
    std::vector<std::string> names;
    for (const std::string& x : options.x) {
        names.push_back(style_of(x).title);
        against += (names.size() > 1 ? ", " : "") + names.back();
    }
    Plot plot{.title = against,
              .x_label = names.size() == 1 ? names.front() : "",
              .y_label = style.title,
              .log_x = true,
              .log_y = style.better == Better::low && !is_difference,
              .low_is_good = style.better != Better::high,
              .shares_x = names.size() == 1};
    if (is_difference) {
        plot.y_label += fmt::format(", difference to {}", options.baseline.second);
        plot.levels.push_back({0, options.baseline.second});
    } else if (options.to_frontier) {
        plot.y_label += style.better == Better::high ? " above the best at no more of it"
                                                     : ", times the best at no more of it";
    } else if (const auto original = original_of(runs, options.y, options.evaluation)) {
        plot.levels.push_back({*original, "original"});
    }
    for (std::size_t x = 0; x < options.x.size(); ++x) {
        const std::size_t first = plot.panels.size();
        for (const std::string& title : facets.panels)
            plot.panels.push_back({.title = title, .x_label = names.size() > 1 ? names[x] : ""});
        for (std::size_t r = 0; r < rows.size(); ++r) {
            const Row& row = rows[r];
            PlotPanel& panel = plot.panels[first + facets.of[r].panel];
            if (!std::isfinite(row.x[x]) || !std::isfinite(row.y)) add_remark(panel, to_string(row.labels));
            PlotSeries& series = series_with(panel, facets.of[r], Mark::points);
            series.points.push_back({.x = row.x[x],
                                     .y = row.y,
                                     .error = row.error,
                                     .note = note_of(row, names, plot.y_label),
                                     .runs = row.runs});
        }
        for (std::size_t p = first; p < plot.panels.size(); ++p) {
            if (!along.empty() || !options.series.empty()) join(plot.panels[p]);
            if (facets.panels.size() > 1 && !is_relative)
                plot.panels[p].series.push_back(context_of(rows, x, style.better));
        }
    }
    return plot;
}

Plot ranking_plot(const std::vector<RunRecord>& runs, const std::string& figure,
                  const std::string& evaluation) {
    TableSpec spec;
    spec.columns.push_back(column(figure, evaluation));
    auto rows = rows_of(make_table(spec, runs), 1);
    const FigureStyle style = style_of(figure);
    std::ranges::stable_sort(rows, [&](const Row& a, const Row& b) {
        if (std::isfinite(a.y) != std::isfinite(b.y)) return std::isfinite(a.y);
        return style.better == Better::high ? a.y > b.y : a.y < b.y;
    });
    std::vector<Labels> things;
    for (const Row& row : rows) things.push_back(row.labels);
    Facets facets = facets_of(things);
    if (facets.shows_others) facets.merge();
    Plot plot{.title = style.title,
              .x_label = style.title,
              .y_label = "",
              .log_x = style.better == Better::low,
              .low_is_good = style.better != Better::high,
              .shares_x = false};
    for (const std::string& title : facets.panels) plot.panels.push_back({.title = title});
    for (std::size_t r = 0; r < rows.size(); ++r) {
        // Series without a title: names stand on the axis, and colours say the same again.
        PlotSeries& series = plot.panels[facets.of[r].panel].series.emplace_back(
            PlotSeries{.title = "", .style = facets.of[r].style, .mark = Mark::points});
        const std::size_t name = index_in(plot.names, facets.of[r].title);
        series.points.push_back({.x = rows[r].y,
                                 .y = static_cast<double>(name),
                                 .error = rows[r].error,
                                 .note = note_of(rows[r], {}, style.title),
                                 .runs = rows[r].runs});
    }
    return plot;
}

Plot divergence_plot(const std::vector<RunRecord>& runs, const std::string& evaluation) {
    constexpr std::array quantiles{std::pair{"median", "median"}, std::pair{"p90", "90th percentile"},
                                   std::pair{"p99", "99th percentile"}};
    Plot plot{.title = "KL by the original's confidence",
              .x_label = "the original's confidence",
              .y_label = "KL, nats",
              .log_y = true};
    std::vector<Repeated> groups;
    std::vector<Labels> labels;
    std::vector<std::vector<json>> lists;
    json floor;
    for (const Repeated& group : repeated(runs)) {
        std::vector<json> own;
        for (const RunRecord* run : group.runs) {
            const json* found = evaluation_with(*run, "kl_by_confidence", evaluation);
            if (found == nullptr) continue;
            const json& models = found->at("models");
            const json measured = models.value("compressed", json::object());
            if (!run->diverged() && measured.contains("kl_by_confidence"))
                own.push_back(measured.at("kl_by_confidence"));
            if (floor.is_null())
                floor =
                    models.value("original", json::object()).value("noise_floor_kl_by_confidence", json());
        }
        if (own.empty()) continue;
        groups.push_back(group);
        labels.push_back(group.labels);
        lists.push_back(std::move(own));
    }
    if (groups.empty()) return plot;
    Facets facets = facets_of(labels);
    if (facets.shows_others) facets.merge();
    for (const auto& [quantile, title] : quantiles) {
        PlotPanel& panel = plot.panels.emplace_back(PlotPanel{.title = title});
        for (std::size_t g = 0; g < groups.size(); ++g) {
            const Facet& facet = facets.of[g];
            std::string name = facets.panels.size() > 1 ? facets.panels[facet.panel] + ", " : "";
            name += facet.title;
            panel.series.push_back({.title = name.empty() ? "compressed" : name,
                                    .style = facet.style,
                                    .mark = Mark::joined,
                                    .points = confidence_curve(lists[g], quantile),
                                    .runs = groups[g].ids()});
        }
        if (floor.is_null()) continue;
        PlotSeries& noise = panel.series.emplace_back();
        noise.title = "noise floor";
        noise.style = {"#8a8a8a", Dash::dotted, Marker::circle};
        noise.mark = Mark::joined;
        noise.points = confidence_curve({floor}, quantile);
    }
    plot.remark = diverged_among(repeated(runs));
    return plot;
}

}  // namespace jlcm
