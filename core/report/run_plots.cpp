#include "core/report/run_plots.hpp"

#include "core/base/error.hpp"
#include "core/report/facets.hpp"
#include "core/report/plot_axis.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/statistics.hpp"
#include "core/run/result.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <set>

namespace jlcm {
namespace {

using Curve = std::vector<double>;

/// The means of curves, point by point as far as all go, with their standard errors.
std::vector<PlotPoint> mean_curve(const std::vector<Curve>& curves) {
    std::size_t length = curves.front().size();
    for (const Curve& curve : curves) length = std::min(length, curve.size());
    std::vector<PlotPoint> points;
    for (std::size_t i = 0; i < length; ++i) {
        std::vector<double> values;
        for (const Curve& curve : curves) values.push_back(curve[i]);
        const auto [mean, error] = mean_and_error(values);
        points.push_back({.x = static_cast<double>(i), .y = mean, .error = error.value_or(0)});
    }
    return points;
}

std::vector<Labels> labels_of(const std::vector<Repeated>& groups) {
    std::vector<Labels> labels;
    for (const Repeated& group : groups) labels.push_back(group.labels);
    return labels;
}

/// Panels with a curve for each group that `curve_of` has any for.
std::vector<PlotPanel> curve_panels(const std::vector<RunRecord>& runs,
                                    const std::function<Curve(const RunRecord&)>& curve_of) {
    std::vector<Repeated> groups;
    std::vector<std::vector<Curve>> curves;
    for (const Repeated& group : repeated(runs)) {
        std::vector<Curve> own;
        for (const RunRecord* run : group.runs)
            if (Curve curve = curve_of(*run); !curve.empty()) own.push_back(std::move(curve));
        if (own.empty()) continue;
        groups.push_back(group);
        curves.push_back(std::move(own));
    }
    const Facets facets = facets_of(labels_of(groups));
    std::vector<PlotPanel> panels;
    for (const std::string& title : facets.panels) panels.push_back({.title = title});
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const Facet& facet = facets.of[g];
        PlotSeries series{.title = facet.title,
                          .style = facet.style,
                          .mark = Mark::line,
                          .points = mean_curve(curves[g]),
                          .runs = groups[g].ids()};
        for (std::size_t p = 0; facets.shows_others && p < panels.size(); ++p) {
            if (p == facet.panel) continue;
            PlotSeries context = series;
            context.is_context = true;
            panels[p].series.push_back(std::move(context));
        }
        panels[facet.panel].series.push_back(std::move(series));
    }
    return panels;
}

/// Whether the panels' figures are of one size, so that they can share an axis: medians within a factor of 4.
bool are_alike(const std::vector<PlotPanel>& panels) {
    double least = std::numeric_limits<double>::infinity();
    double most = 0;
    for (const PlotPanel& panel : panels) {
        std::vector<double> values;
        for (const PlotSeries& series : panel.series)
            for (const PlotPoint& point : series.points)
                if (std::isfinite(point.y)) values.push_back(std::abs(point.y));
        if (values.empty()) continue;
        const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
        std::ranges::nth_element(values, middle);
        least = std::min(least, *middle);
        most = std::max(most, *middle);
    }
    return most <= 4 * least;
}

/// The part of a weight's name up to its block's number, which all layers of a block share.
std::string block_name(const std::string& weight) {
    const std::size_t digit = weight.find_first_of("0123456789");
    return digit == std::string::npos ? weight : weight.substr(0, weight.find('.', digit));
}

/// What stands behind the block's number, without what ends every name: "self_attn.q_proj".
std::string role_of(const std::string& weight) {
    std::string role = weight.substr(std::min(block_name(weight).size() + 1, weight.size()));
    if (role.ends_with(".weight")) role.resize(role.size() - std::string(".weight").size());
    return role.empty() ? weight : role;
}

/// Objectives after the solver over those before it, summed over the layers of each block; nothing for solvers of
/// one pass.
Curve solver_errors(const LearningMetrics& metrics) {
    Curve before;
    Curve after;
    std::string block;
    for (const auto& [weight, objective] : metrics.objectives) {
        const std::string own = block_name(weight);
        if (before.empty() || own != block) {
            before.push_back(0);
            after.push_back(0);
            block = own;
        }
        if (objective.size() < 2) continue;
        before.back() += objective.front();
        after.back() += objective.back();
    }
    if (std::ranges::all_of(before, [](double objective) { return objective == 0; })) return {};
    for (std::size_t b = 0; b < before.size(); ++b)
        after[b] = before[b] == 0 ? not_a_number : after[b] / before[b];
    return after;
}

constexpr std::array lengths{"by 1 codeword", "by 2", "by 3 or more"};

/// Jumps by length as shares of all weights.
std::array<double, 3> shares_of(const std::vector<double>& jumps, const RunRecord& run) {
    const double weights =
        recorded_figure(run.result.at("footprint"), "compressed_weights").value_or(not_a_number);
    std::array<double, 3> parts{};
    for (std::size_t i = 0; i < jumps.size(); ++i)
        parts.at(std::min<std::size_t>(i, 2)) += jumps[i] / weights;
    return parts;
}

/// From the shortest to the longest jump.
LineStyle style_of_length(std::size_t length) {
    constexpr std::array colours{"#56b4e9", "#0072b2", "#d55e00"};
    return {colours.at(length), Dash::solid, Marker::circle};
}

/// What a solver left of a matrix: the recorded error, or the part of the initialiser's objective (NaN: not known).
double left_of(const LearningMetrics& metrics, std::size_t matrix, bool is_error) {
    if (is_error) return metrics.solved[matrix].error;
    const auto& objective = metrics.objectives[matrix].second;
    return objective.size() > 1 && objective.front() > 0 ? objective.back() / objective.front()
                                                         : not_a_number;
}

/// Means over runs of what the solver left of each matrix, by role and block.
PlotGrid heat_of(const Repeated& group, bool is_error) {
    PlotGrid grid{.runs = group.ids()};
    std::map<std::pair<std::size_t, std::size_t>, std::vector<double>> cells;
    for (const RunRecord* run : group.runs) {
        const LearningMetrics& metrics = run->metrics();
        for (std::size_t m = 0; m < metrics.solved.size(); ++m) {
            const double value = left_of(metrics, m, is_error);
            if (!std::isfinite(value)) continue;
            const auto block = static_cast<std::size_t>(metrics.solved[m].block);
            cells[{index_in(grid.row_names, role_of(metrics.solved[m].weight)), block}].push_back(value);
            grid.cols = std::max(grid.cols, block + 1);
        }
    }
    grid.rows = grid.row_names.size();
    grid.values.assign(grid.rows * grid.cols, not_a_number);
    for (const auto& [cell, values] : cells)
        grid.values[cell.first * grid.cols + cell.second] = mean_and_error(values).mean;
    return grid;
}

}  // namespace

Plot loss_plot(const std::vector<RunRecord>& runs, const std::string& stage) {
    Plot plot{.title = stage == "learn" ? "Block learning" : "Distillation",
              .x_label = "step",
              .y_label = stage == "learn" ? "relative squared error" : "KL, nats a prediction",
              .log_y = true};
    plot.panels = curve_panels(runs, [&](const RunRecord& run) {
        const auto& losses = run.metrics().losses;
        const auto found = losses.find(stage);
        return found == losses.end() ? Curve() : found->second;
    });
    plot.shares_y = are_alike(plot.panels);
    plot.remark = diverged_among(repeated(runs));
    return plot;
}

Plot jump_plot(const std::vector<RunRecord>& runs) {
    Plot plot{
        .title = "How far codes moved", .x_label = "jumps per weight", .y_label = "", .shares_x = false};
    std::vector<Repeated> groups;
    std::vector<std::array<MeanAndError, 3>> parts;
    for (const Repeated& group : repeated(runs)) {
        std::array<std::vector<double>, 3> shares;
        double all = 0;
        for (const RunRecord* run : group.runs) {
            if (run->diverged()) continue;
            for (std::size_t i = 0; const double share : shares_of(run->metrics().jumps, *run)) {
                shares.at(i++).push_back(share);
                all += share;
            }
        }
        if (all == 0) continue;
        groups.push_back(group);
        auto& own = parts.emplace_back();
        std::ranges::transform(shares, own.begin(),
                               [](const auto& values) { return mean_and_error(values); });
    }
    Facets facets = facets_of(labels_of(groups));
    if (facets.shows_others) facets.merge();
    for (const std::string& title : facets.panels) {
        PlotPanel& panel = plot.panels.emplace_back(PlotPanel{.title = title});
        for (std::size_t i = 0; i < lengths.size(); ++i)
            panel.series.push_back({.title = lengths.at(i), .style = style_of_length(i), .mark = Mark::bars});
    }
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const std::size_t name = index_in(plot.names, facets.of[g].title);
        PlotPanel& panel = plot.panels[facets.of[g].panel];
        for (std::size_t i = 0; i < lengths.size(); ++i) {
            const auto& [mean, error] = parts[g].at(i);
            panel.series[i].points.push_back(
                {.x = mean,
                 .y = static_cast<double>(name),
                 .note = fmt::format("{}\n{}: {:.4g}{} per weight", values_of(groups[g].labels),
                                     lengths.at(i), mean, error ? fmt::format(" ± {:.2g}", *error) : ""),
                 .runs = groups[g].ids()});
        }
    }
    plot.remark = diverged_among(repeated(runs));
    return plot;
}

Plot jump_steps_plot(const std::vector<RunRecord>& runs, const std::string& stage) {
    Plot plot{.title = stage == "learn" ? "Jump lengths over the steps of block learning"
                                        : "Jump lengths over the steps of distillation",
              .x_label = "step",
              .y_label = "jumps per weight",
              .log_y = true};
    std::vector<Repeated> groups;
    std::vector<PlotPanel> panels;
    for (const Repeated& group : repeated(runs)) {
        std::array<std::vector<Curve>, 3> curves;
        double all = 0;
        for (const RunRecord* run : group.runs) {
            const auto& steps = run->metrics().jumps_of_steps;
            const auto found = steps.find(stage);
            if (run->diverged() || found == steps.end()) continue;
            std::array<Curve, 3> own;
            for (const auto& jumps : found->second)
                for (std::size_t i = 0; const double share : shares_of(jumps, *run)) {
                    own.at(i++).push_back(share);
                    all += share;
                }
            for (std::size_t i = 0; i < own.size(); ++i) curves.at(i).push_back(std::move(own.at(i)));
        }
        if (all == 0) continue;
        PlotPanel panel;
        for (std::size_t i = 0; i < lengths.size(); ++i)
            panel.series.push_back({.title = lengths.at(i),
                                    .style = style_of_length(i),
                                    .mark = Mark::line,
                                    .points = mean_curve(curves.at(i)),
                                    .runs = group.ids()});
        groups.push_back(group);
        panels.push_back(std::move(panel));
    }
    const auto titles = titles_of(groups);
    for (std::size_t p = 0; p < panels.size(); ++p) {
        panels[p].title = panels.size() > 1 ? titles[p] : "";
        plot.panels.push_back(std::move(panels[p]));
    }
    plot.remark = diverged_among(repeated(runs));
    return plot;
}

Plot error_plot(const std::vector<RunRecord>& runs) {
    Plot plot{.title = "Error of each block",
              .x_label = "block",
              .y_label = "part of the error that is left",
              .log_y = true};
    plot.panels = curve_panels(runs, [](const RunRecord& run) {
        const LearningMetrics& metrics = run.metrics();
        Curve curve;
        for (const auto& [block, loss] : metrics.block_losses) curve.push_back(loss);
        return curve.empty() ? solver_errors(metrics) : curve;
    });
    plot.shares_y = are_alike(plot.panels);
    plot.remark = diverged_among(repeated(runs));
    return plot;
}

Plot heat_plot(const std::vector<RunRecord>& runs) {
    const auto has_error = [](const RunRecord& run) {
        const auto& solved = run.metrics().solved;
        return solved.empty() ||
               std::ranges::any_of(solved, [](const auto& each) { return std::isfinite(each.error); });
    };
    const bool are_errors = std::ranges::all_of(runs, has_error);
    Plot plot{.title = are_errors ? "Relative error of each matrix after the solver"
                                  : "Part of the initialiser's objective that the solver left",
              .x_label = "block",
              .y_label = ""};
    const auto groups = repeated(runs);
    const auto titles = titles_of(groups);
    std::vector<double> all;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        PlotGrid grid = heat_of(groups[g], are_errors);
        if (grid.rows == 0) continue;
        std::ranges::copy_if(grid.values, std::back_inserter(all),
                             [](double value) { return std::isfinite(value); });
        plot.panels.push_back({.title = groups.size() > 1 ? titles[g] : "", .grid = std::move(grid)});
    }
    for (PlotPanel& panel : plot.panels) panel.grid.high = robust_axis(all, {.margin = 0}).high;
    plot.remark = diverged_among(groups);
    return plot;
}

}  // namespace jlcm
