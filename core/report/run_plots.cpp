#include "core/report/run_plots.hpp"

#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/report/printable.hpp"
#include "core/report/result_table.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/statistics.hpp"
#include "core/run/result.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <optional>

namespace jlcm {
namespace {

/// Runs that are one but for their seed.
struct Repeated {
    std::string title;
    std::vector<const RunRecord*> runs;
};

/// In order of first appearance. Axes on which all runs agree are left out of the titles.
std::vector<Repeated> repeated(const std::vector<RunRecord>& runs) {
    const auto differs = [&](const std::string& axis) {
        return std::ranges::any_of(runs, [&](const RunRecord& run) {
            const std::string* first = find(runs.front().labels, axis);
            const std::string* own = find(run.labels, axis);
            return (first == nullptr) != (own == nullptr) || (first != nullptr && *first != *own);
        });
    };
    std::vector<Repeated> groups;
    for (const RunRecord& run : runs) {
        std::string title;
        for (const auto& [axis, value] : run.labels)
            if (axis != "seed" && differs(axis)) title += (title.empty() ? "" : ", ") + value;
        if (title.empty()) title = run.labels.empty() ? run.name() : to_string(run.labels);
        const auto found = std::ranges::find(groups, title, &Repeated::title);
        if (found == groups.end()) {
            groups.push_back({title, {&run}});
        } else {
            found->runs.push_back(&run);
        }
    }
    return groups;
}

/// The means of curves, point by point as far as all go.
PlotSeries mean_curve(const std::string& title, const std::vector<std::vector<double>>& curves) {
    PlotSeries series{.title = title, .x = {}, .y = {}};
    if (curves.empty()) return series;
    std::size_t length = curves.front().size();
    for (const auto& curve : curves) length = std::min(length, curve.size());
    for (std::size_t i = 0; i < length; ++i) {
        std::vector<double> values;
        for (const auto& curve : curves) values.push_back(curve[i]);
        series.x.push_back(static_cast<double>(i));
        series.y.push_back(mean_and_error(values).mean);
    }
    return series;
}

/// Objectives after and before the solver, summed over the layers of each block.
std::vector<double> solver_errors(const LearningMetrics& metrics) {
    std::vector<double> before;
    std::vector<double> after;
    std::string block;
    for (const auto& [weight, objective] : metrics.objectives) {
        // Layers of one block share everything up to the number in their name.
        const std::size_t digit = weight.find_first_of("0123456789");
        const std::size_t end = weight.find('.', digit);
        const std::string own = digit == std::string::npos ? weight : weight.substr(0, end);
        if (before.empty() || own != block) {
            before.push_back(0);
            after.push_back(0);
            block = own;
        }
        if (objective.empty()) continue;
        before.back() += objective.front();
        after.back() += objective.back();
    }
    for (std::size_t b = 0; b < before.size(); ++b) after[b] = before[b] == 0 ? 0 : after[b] / before[b];
    return after;
}

/// How often values fall into each of the bins of [-limit, limit], as a density.
std::vector<double> density(const Tensor& matrix, double limit, std::size_t bins) {
    std::vector<double> counts(bins);
    for (std::int64_t r = 0; r < matrix.rows(); ++r) {
        const float* row = matrix.data<float>() + r * matrix.cols();
        double squares = 0;
        for (std::int64_t c = 0; c < matrix.cols(); ++c) squares += static_cast<double>(row[c]) * row[c];
        const double scale = std::sqrt(squares / static_cast<double>(matrix.cols()));
        if (scale == 0) continue;
        for (std::int64_t c = 0; c < matrix.cols(); ++c) {
            const double at = (row[c] / scale + limit) / (2 * limit) * static_cast<double>(bins);
            if (at >= 0 && at < static_cast<double>(bins)) counts[static_cast<std::size_t>(at)] += 1;
        }
    }
    const double unit = static_cast<double>(matrix.size()) * 2 * limit / static_cast<double>(bins);
    for (double& count : counts) count /= unit;
    return counts;
}

/// What is the same along a line of a frontier: the values of every axis but `along`.
std::string line_of(const ResultTable& table, const TableRow& row, std::size_t keys,
                    std::optional<std::size_t> along) {
    std::string name;
    for (std::size_t c = 0; c < keys; ++c) {
        const bool varies = std::ranges::any_of(table.rows, [&](const TableRow& other) {
            return other.cells[c].text != table.rows.front().cells[c].text;
        });
        if (c == along || !varies) continue;
        if (!name.empty()) name += ", ";
        name += row.cells[c].text;
    }
    return name;
}

bool is_number(const std::string& text) {
    char* end = nullptr;
    (void)std::strtod(text.c_str(), &end);
    return !text.empty() && *end == '\0';
}

/// The axis of numbers along which the frontier's x grows most while all others stay; nothing where none
/// does: each run is a point of its own then.
std::optional<std::size_t> along_line(const ResultTable& table, std::size_t keys) {
    std::optional<std::size_t> best;
    double longest = 0;
    for (std::size_t c = 0; c < keys; ++c) {
        if (!std::ranges::all_of(table.rows,
                                 [&](const TableRow& row) { return is_number(row.cells[c].text); }))
            continue;
        std::map<std::string, std::pair<double, double>> ranges;
        for (const TableRow& row : table.rows) {
            const auto x = row.cells[keys].value;
            if (!x || !std::isfinite(*x)) continue;
            auto& range = ranges.try_emplace(line_of(table, row, keys, c), *x, *x).first->second;
            range = {std::min(range.first, *x), std::max(range.second, *x)};
        }
        double length = 0;
        for (const auto& [name, range] : ranges) length += range.second - range.first;
        if (length > longest) best = c;
        longest = std::max(longest, length);
    }
    return best;
}

}  // namespace

Plot loss_plot(const std::vector<RunRecord>& runs, const std::string& stage) {
    Plot plot{
        .title = stage == "learn" ? "Block learning" : "Distillation",
        .x_label = "step",
        .y_label = stage == "learn" ? "relative squared error, mean over blocks" : "KL, nats a prediction"};
    plot.log_y = true;
    for (const Repeated& group : repeated(runs)) {
        std::vector<std::vector<double>> curves;
        for (const RunRecord* run : group.runs) {
            const auto metrics = run->metrics();
            if (const auto found = metrics.losses.find(stage); found != metrics.losses.end())
                curves.push_back(found->second);
        }
        if (!curves.empty()) plot.series.push_back(mean_curve(group.title, curves));
    }
    return plot;
}

Plot jump_plot(const std::vector<RunRecord>& runs) {
    Plot plot{.title = "How far codes moved", .x_label = "", .y_label = "jumps a weight"};
    plot.style = Plot::Style::stacked_bars;
    for (const char* part : {"by 1 codeword", "by 2", "by 3 or more"})
        plot.series.push_back({.title = part, .x = {}, .y = {}});
    for (const Repeated& group : repeated(runs)) {
        std::array<double, 3> parts{};
        for (const RunRecord* run : group.runs) {
            const auto jumps = run->metrics().jumps;
            if (run->diverged()) continue;
            const double weights =
                recorded_figure(run->result.at("footprint"), "compressed_weights").value_or(not_a_number);
            for (std::size_t i = 0; i < jumps.size(); ++i)
                parts.at(std::min<std::size_t>(i, 2)) +=
                    jumps[i] / weights / static_cast<double>(group.runs.size());
        }
        if (parts[0] + parts[1] + parts[2] == 0) continue;
        plot.bars.push_back(group.title);
        for (std::size_t p = 0; p < parts.size(); ++p) plot.series[p].y.push_back(parts.at(p));
    }
    return plot;
}

Plot error_plot(const std::vector<RunRecord>& runs) {
    Plot plot{
        .title = "Error of each block", .x_label = "block", .y_label = "part of the error that is left"};
    plot.log_y = true;
    for (const Repeated& group : repeated(runs)) {
        std::vector<std::vector<double>> curves;
        for (const RunRecord* run : group.runs) {
            const auto metrics = run->metrics();
            std::vector<double> curve;
            for (const auto& [block, loss] : metrics.block_losses) curve.push_back(loss);
            if (curve.empty()) curve = solver_errors(metrics);
            if (!curve.empty()) curves.push_back(std::move(curve));
        }
        if (!curves.empty()) plot.series.push_back(mean_curve(group.title, curves));
    }
    return plot;
}

Plot frontier_plot(const std::vector<RunRecord>& runs, const std::string& x, const std::string& y,
                   const std::string& series, const std::string& evaluation) {
    TableSpec spec;
    for (const std::string& value : {x, y}) {
        ColumnChoice column;
        column.value = value;
        column.evaluation = value == y ? evaluation : "";
        spec.columns.push_back(column);
    }
    const ResultTable table = make_table(spec, runs);
    const std::size_t keys = table.columns.size() - 2;
    std::size_t series_at = keys;
    for (std::size_t c = 0; c < keys; ++c)
        if (table.columns[c].title == series) series_at = c;
    require(series.empty() || series_at < keys, "there is no axis \"{}\" to make lines of", series);
    const auto along = series.empty() ? along_line(table, keys) : std::nullopt;
    Plot plot{.title = fmt::format("{} against {}", style_of(y).title, style_of(x).title),
              .x_label = style_of(x).title,
              .y_label = style_of(y).title};
    plot.style = Plot::Style::points;
    plot.log_y = style_of(y).better == FigureStyle::Better::low;
    std::map<std::string, std::vector<std::array<double, 3>>> points;
    std::vector<std::string> order;
    for (const TableRow& row : table.rows) {
        const TableCell& at_x = row.cells[keys];
        const TableCell& at_y = row.cells[keys + 1];
        if (!at_x.value || !at_y.value) continue;
        if (!std::isfinite(*at_x.value) || !std::isfinite(*at_y.value)) {
            log_warning("not drawn, since it is {}: {}", at_y.text, printable(line_of(table, row, keys, {})));
            continue;
        }
        const std::string name =
            series.empty() ? line_of(table, row, keys, along) : row.cells[series_at].text;
        if (!points.contains(name)) order.push_back(name);
        points[name].push_back({*at_x.value, *at_y.value, at_y.error.value_or(0)});
    }
    for (const std::string& name : order) {
        auto& found = points[name];
        std::ranges::sort(found);
        PlotSeries line{.title = name.empty() ? y : name, .x = {}, .y = {}};
        for (const auto& [at_x, at_y, error] : found) {
            line.x.push_back(at_x);
            line.y.push_back(at_y);
            line.error.push_back(error);
        }
        plot.series.push_back(std::move(line));
    }
    return plot;
}

Plot codebook_plot(const RunRecord& run, const std::string& source, const std::string& weight) {
    const Artifact artifact = read_artifact(run.directory / "artifact.safetensors");
    const auto found = artifact.matrices.find(weight);
    require(found != artifact.matrices.end(), "{}: there is no compressed matrix \"{}\"",
            run.directory.string(), weight);
    const OpenedModel model = open_model(source);
    require(model.sha256() == text_at(run.result.value("model", nlohmann::json()), "sha256"),
            "{}: not the model that {} compressed", source, run.name());
    Tensor original;
    const Graph& graph = model.weights->graph();
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id)
        if (graph.parameter(id).name == weight) original = model.weights->weight(id);
    require(original.defined(), "{}: there is no weight \"{}\"", source, weight);

    constexpr double limit = 4;
    constexpr std::size_t bins = 160;
    Plot plot{.title = weight, .x_label = "value over its row's root mean square", .y_label = "density"};
    plot.style = Plot::Style::filled;
    const Tensor matrix =
        original.reshape({original.shape().front(), original.size() / original.shape().front()});
    const auto weights = density(matrix, limit, bins);
    auto codewords = density(decode(found->second), limit, bins);
    // Codewords of many rows gather in narrow peaks; they are drawn no higher than twice the weights.
    const double peak = *std::ranges::max_element(codewords);
    const double height = 2 * *std::ranges::max_element(weights);
    for (double& value : codewords) value *= peak > height ? height / peak : 1;
    for (const bool is_weights : {true, false}) {
        PlotSeries series{.title = is_weights ? "weights" : "codewords, by use",
                          .x = {},
                          .y = is_weights ? weights : codewords};
        for (std::size_t b = 0; b < bins; ++b)
            series.x.push_back(limit * (2 * (static_cast<double>(b) + 0.5) / static_cast<double>(bins) - 1));
        plot.series.push_back(std::move(series));
    }
    return plot;
}

}  // namespace jlcm
