#include "core/report/weight_plots.hpp"

#include "core/base/error.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/compress/reordering.hpp"
#include "core/run/spec.hpp"
#include "core/spec/resolve.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

namespace jlcm {
namespace {

constexpr std::size_t most_groups = 12;

/// A compressed matrix with the weights that it stands for.
struct Pair {
    CompressedMatrix compressed;
    Tensor original;                      ///< [rows, cols], as the source has them
    std::vector<std::int64_t> rows = {};  ///< the source's row of each stored row
};

/// Where the rows of a parameter came from when the run re-ordered the model; empty: they are in place.
std::vector<std::int32_t> reordered_rows(const RunRecord& run, const WeightSource& model, ParameterId id) {
    Problems problems;
    const auto spec = resolve<RunSpec>(run.spec, problems);
    problems.throw_if_any();
    const CompressOptions& options = spec.value.compress;
    if (!options.reorder) return {};
    auto plan = plan_compression(model.graph(), options);
    return reorder_model(model, *options.reorder, plan)->rows(id);
}

Pair open_pair(const RunRecord& run, const std::string& source, const std::string& weight) {
    Artifact artifact = read_artifact(run.directory / "artifact.safetensors");
    const auto found = artifact.matrices.find(weight);
    require(found != artifact.matrices.end(), "{}: there is no compressed matrix \"{}\"",
            run.directory.string(), weight);
    const OpenedModel model = open_model(source);
    require(model.sha256() == text_at(run.result.value("model", nlohmann::json()), "sha256"),
            "{}: not the model that {} compressed", source, run.name());
    const Graph& graph = model.weights->graph();
    ParameterId id = 0;
    while (id < static_cast<ParameterId>(graph.parameters().size()) && graph.parameter(id).name != weight)
        ++id;
    require(id < static_cast<ParameterId>(graph.parameters().size()), "{}: there is no weight \"{}\"", source,
            weight);
    const Tensor original = model.weights->weight(id);
    const std::int64_t rows = original.shape().front();
    Pair pair{std::move(found->second), original.reshape({rows, original.size() / rows})};
    const auto moved = reordered_rows(run, *model.weights, id);
    for (std::int64_t stored = 0; stored < rows; ++stored) {
        const std::int64_t row = pair.compressed.model_row(stored);
        pair.rows.push_back(moved.empty() ? row : moved[static_cast<std::size_t>(row)]);
    }
    return pair;
}

std::span<const float> row_of(const Tensor& matrix, std::int64_t row) {
    return matrix.values<float>().subspan(static_cast<std::size_t>(row * matrix.cols()),
                                          static_cast<std::size_t>(matrix.cols()));
}

/// Equal bins over [low, high]; what lies outside counts in the last ones.
struct Bins {
    double low = 0;
    double high = 1;
    std::size_t count = 1;

    [[nodiscard]] double width() const { return (high - low) / static_cast<double>(count); }
    [[nodiscard]] double middle(std::size_t bin) const {
        return low + (static_cast<double>(bin) + 0.5) * width();
    }
    [[nodiscard]] std::size_t of(double value) const {
        const double at = (value - low) / width();
        return static_cast<std::size_t>(std::clamp(at, 0.0, static_cast<double>(count - 1)));
    }
};

/// As many bins as let a distribution of so many weights be seen through its noise.
std::size_t bins_for(std::int64_t weights) {
    return static_cast<std::size_t>(std::clamp(2 * std::sqrt(static_cast<double>(weights)), 12.0, 90.0));
}

/// Bins that hold all but a thousandth of the weights at either end.
Bins bins_of(const Tensor& matrix, std::size_t count) {
    std::vector<float> sorted(matrix.values<float>().begin(), matrix.values<float>().end());
    require(std::ranges::all_of(sorted, [](float value) { return std::isfinite(value); }),
            "the original matrix has weights that are not finite");
    std::ranges::sort(sorted);
    const std::size_t cut = sorted.size() / 1000;
    const auto low = static_cast<double>(sorted[cut]);
    const auto high = static_cast<double>(sorted[sorted.size() - 1 - cut]);
    const double margin = high > low ? 0.05 * (high - low) : 1;
    return {low - margin, high + margin, count};
}

/// Stored rows of each row group.
std::vector<std::vector<std::int64_t>> rows_of_groups(const Layout& layout) {
    std::vector<std::vector<std::int64_t>> rows(static_cast<std::size_t>(layout.row_groups));
    const auto groups = layout.row_group_of_rows();
    for (std::size_t row = 0; row < groups.size(); ++row)
        rows.at(static_cast<std::size_t>(groups[row])).push_back(static_cast<std::int64_t>(row));
    return rows;
}

/// "rows 16 to 31" where they follow on each other, otherwise how many there are.
std::string name_of_group(std::size_t group, const std::vector<std::int64_t>& rows) {
    const bool is_run = rows.back() - rows.front() + 1 == std::ssize(rows);
    if (rows.size() == 1) return fmt::format("row {}", rows.front());
    return is_run ? fmt::format("group {}, rows {} to {}", group, rows.front(), rows.back())
                  : fmt::format("group {}, {} rows", group, rows.size());
}

/// The density of the weights of some stored rows.
PlotSeries weights_of(const Pair& pair, const std::vector<std::int64_t>& rows, const Bins& all_bins) {
    const Bins bins{all_bins.low, all_bins.high, bins_for(std::ssize(rows) * pair.original.cols())};
    std::vector<double> counts(bins.count);
    for (const std::int64_t row : rows)
        for (const float value : row_of(pair.original, pair.rows[static_cast<std::size_t>(row)]))
            counts[bins.of(static_cast<double>(value))] += 1;
    const double all = std::accumulate(counts.begin(), counts.end(), 0.0) * bins.width();
    PlotSeries series{
        .title = "weights, density", .style = {"#8a8a8a", Dash::solid, Marker::circle}, .mark = Mark::area};
    for (std::size_t b = 0; b < counts.size(); ++b)
        series.points.push_back({.x = bins.middle(b), .y = counts[b] / all});
    return series;
}

/// The codewords of a row group; `height`: that of a codeword which all weights use.
PlotSeries codewords_of(const Pair& pair, std::int64_t group, const std::vector<std::int64_t>& rows,
                        double height) {
    const CompressedMatrix& matrix = pair.compressed;
    const auto words = static_cast<std::size_t>(matrix.layout.codewords());
    std::vector<float> values(words);
    matrix.group_values(group, values);
    std::vector<double> uses(words);
    double all = 0;
    for (const std::int64_t row : rows)
        for (std::int64_t c = 0; c < matrix.layout.cols; ++c, ++all)
            uses[matrix.mapping.data<std::uint8_t>()[row * matrix.layout.cols + c]] += 1;
    PlotSeries series{
        .title = "codewords, by use", .style = {"#d55e00", Dash::solid, Marker::circle}, .mark = Mark::stems};
    for (std::size_t w = 0; w < words; ++w)
        series.points.push_back(
            {.x = static_cast<double>(values[w]),
             .y = height * uses[w] / all,
             .note = fmt::format("codeword {:.5g}\n{:.1f} % of the weights", values[w], 100 * uses[w] / all),
             .runs = {}});
    return series;
}

/// A line a row, in the order of `rows` (the model's numbers): the distribution of its weights.
PlotGrid image_of(const Pair& pair, const std::vector<std::int64_t>& rows,
                  const std::vector<std::int32_t>& groups, const Bins& bins) {
    PlotGrid grid{.rows = rows.size(), .cols = bins.count, .first_col = bins.low, .last_col = bins.high};
    std::vector<double> counts(bins.count);
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::ranges::fill(counts, 0);
        for (const float value : row_of(pair.original, rows[r]))
            counts[bins.of(static_cast<double>(value))] += 1;
        for (const double count : counts)
            grid.values.push_back(count / static_cast<double>(pair.original.cols()) / bins.width());
        grid.row_groups.push_back(static_cast<std::size_t>(groups[r]));
    }
    return grid;
}

}  // namespace

Plot codebook_plot(const RunRecord& run, const std::string& source, const std::string& weight) {
    const Pair pair = open_pair(run, source, weight);
    const Layout& layout = pair.compressed.layout;
    require(layout.dimension == 1 && layout.residual == 1 && layout.column_groups() == 1,
            "{}: codewords that are vectors, sums or of columns are not drawn", weight);
    const auto groups = rows_of_groups(layout);
    const Bins bins = bins_of(pair.original, 90);
    Plot plot{.title = weight, .x_label = "weight", .y_label = "density"};
    const std::size_t shown = std::min(groups.size(), most_groups);
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < shown; ++i)
        chosen.push_back(shown < 2 ? 0 : i * (groups.size() - 1) / (shown - 1));
    double peak = 0;
    for (const std::size_t group : chosen) {
        PlotPanel panel{.title = layout.row_groups > 1 ? name_of_group(group, groups[group]) : ""};
        panel.series.push_back(weights_of(pair, groups[group], bins));
        for (const PlotPoint& point : panel.series.back().points) peak = std::max(peak, point.y);
        plot.panels.push_back(std::move(panel));
    }
    for (std::size_t i = 0; i < chosen.size(); ++i)
        plot.panels[i].series.push_back(
            codewords_of(pair, static_cast<std::int64_t>(chosen[i]), groups[chosen[i]], 2 * peak));
    if (shown < groups.size()) plot.title += fmt::format(", {} of {} groups", shown, groups.size());
    return plot;
}

Plot rows_plot(const RunRecord& run, const std::string& source, const std::string& weight) {
    const Pair pair = open_pair(run, source, weight);
    const Layout& layout = pair.compressed.layout;
    const auto stored_groups = layout.row_group_of_rows();
    const std::vector<std::int64_t>& stored = pair.rows;
    std::vector<std::int64_t> model(stored.size());
    std::iota(model.begin(), model.end(), 0);
    std::vector<std::int32_t> model_groups(stored.size());
    for (std::size_t row = 0; row < stored.size(); ++row)
        model_groups[static_cast<std::size_t>(stored[row])] = stored_groups[row];
    const Bins bins = bins_of(pair.original, bins_for(pair.original.cols()));
    Plot plot{
        .title = weight + ": distribution of each row's weights", .x_label = "weight", .y_label = "row"};
    const bool is_moved = stored != model;
    plot.panels.push_back({.title = is_moved ? "in the model's order" : "rows in place",
                           .grid = image_of(pair, model, model_groups, bins)});
    if (is_moved)
        plot.panels.push_back({.title = "as stored", .grid = image_of(pair, stored, stored_groups, bins)});
    std::vector<double> sorted = plot.panels.front().grid.values;
    std::ranges::sort(sorted);
    for (PlotPanel& panel : plot.panels)
        panel.grid.high = std::max(sorted[sorted.size() * 995 / 1000], sorted.back() * 1e-3);
    return plot;
}

}  // namespace jlcm
