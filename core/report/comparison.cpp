#include "core/report/comparison.hpp"

#include "core/base/error.hpp"
#include "core/codebook/artifact.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/report/printable.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/run_table.hpp"
#include "core/report/statistics.hpp"
#include "core/spec/problems.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace jlcm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A run, or an artifact alone.
struct Side {
    fs::path artifact;
    std::optional<RunRecord> run;
};

std::string name_of(const RunModel& run) {
    return printable(fmt::format("{}, {}", run.directory.string(), run.model));
}

RunRecord open_run(const fs::path& path) {
    require(fs::is_directory(path), "{}: no run's directory", path.string());
    auto runs = read_runs({path});
    require(runs.size() == 1, "{}: {} runs; give one", path.string(), runs.size());
    return std::move(runs.front());
}

Side open_side(const fs::path& path) {
    if (fs::is_directory(path)) {
        RunRecord run = open_run(path);
        return {run.directory / "artifact.safetensors", std::move(run)};
    }
    require(is_artifact(path), "{}: neither a run's directory nor an artifact (.safetensors)", path.string());
    return {path, std::nullopt};
}

/// Every value of a spec by its path.
std::map<std::string, std::string> values_by_path(const Config& spec) {
    std::map<std::string, std::string> values;
    for_each_value(spec, Lists::whole, [&](const std::string& path, const Config& value) {
        values[path] = value.kind == Config::Kind::null ? "none" : to_flow_yaml(value);
    });
    return values;
}

std::string settings(const RunRecord& first, const RunRecord& second) {
    const std::map<std::string, std::string> a = values_by_path(first.spec);
    const std::map<std::string, std::string> b = values_by_path(second.spec);
    std::set<std::string> paths;
    for (const auto* side : {&a, &b})
        for (const auto& [path, value] : *side) paths.insert(path);
    std::vector<std::vector<std::string>> rows;
    const auto value = [](const auto& values, const std::string& path) {
        const auto found = values.find(path);
        return found == values.end() ? "-" : found->second;
    };
    for (const std::string& path : paths)
        if (value(a, path) != value(b, path)) rows.push_back({path, value(a, path), value(b, path)});
    if (rows.empty()) return "Both have the same settings.\n";
    return markdown_table({"setting", "A", "B"}, rows, 3);
}

std::string shown(const std::optional<RunFigure>& figure, int digits) {
    if (!figure) return "-";
    const std::string value = fmt::format("{:.{}f}", figure->value, digits);
    return figure->error ? fmt::format("{} ± {:.{}f}", value, *figure->error, digits) : value;
}

/// A line of two figures that compare.
std::vector<std::string> line(const std::string& title, const std::optional<RunFigure>& a,
                              const std::optional<RunFigure>& b, int digits) {
    std::vector<std::string> row{title, shown(a, digits), shown(b, digits), "-", "-"};
    if (!a || !b) return row;
    row[3] = fmt::format("{:+.{}f}", b->value - a->value, digits);
    if (a->items.empty() || a->items.size() != b->items.size()) return row;
    if (const auto p = paired_t_test(a->items, b->items))
        row[4] = *p < 1e-4 ? "< 0.0001" : fmt::format("{:.4f}", *p);
    return row;
}

/// A run's model under the title of an evaluation that the other side has too.
struct Measured {
    const RunRecord& run;
    ModelName model;

    [[nodiscard]] std::optional<RunFigure> figure(const std::string& name,
                                                  const std::string& evaluation = {}) const {
        return figure_of(run, model, name, evaluation);
    }
};

/// The evaluation of the run that compares with this one: of the same title and protocol, of the same
/// protocol, or of the same title (whose protocol is another); null where there is none.
const json* counterpart(const RunRecord& run, const json& evaluation) {
    const auto find = [&](bool by_title, bool by_protocol) -> const json* {
        for (const json& each : run.result.at("evaluations"))
            if (each.at("metric") == evaluation.at("metric") &&
                (!by_title || each.at("title") == evaluation.at("title")) &&
                (!by_protocol || each.at("protocol") == evaluation.at("protocol")))
                return &each;
        return nullptr;
    };
    if (const json* found = find(true, true)) return found;
    const json* found = evaluation.at("protocol").empty() ? nullptr : find(false, true);
    return found != nullptr ? found : find(true, false);
}

/// Lines of the figures of every evaluation that both have, or one of them. What does not compare is added to
/// `apart`.
void add_evaluations(const Measured& a, const Measured& b, std::vector<std::vector<std::string>>& rows,
                     std::string& apart) {
    const auto add = [&](const json* one, const json* other) {
        const json& known = one == nullptr ? *other : *one;
        const auto title = known.at("title").get<std::string>();
        const auto metric = known.at("metric").get<std::string>();
        if (one != nullptr && other != nullptr && one->at("protocol") != other->at("protocol")) {
            apart +=
                fmt::format("{}: the protocols differ, so these figures do not compare.\n", printable(title));
            return;
        }
        const auto in = [](const Measured& side, const json* evaluation, const std::string& name) {
            return evaluation == nullptr ? std::nullopt : side.figure(name, evaluation->at("title"));
        };
        for (const std::string& name : {metric, std::string("kl"), std::string("agreement")}) {
            const auto first = in(a, one, name);
            const auto second = in(b, other, name);
            if (!first && !second) continue;
            rows.push_back(line(name == metric ? title
                                               : style_of(name).title +
                                                     title.substr(std::min(title.find(", "), title.size())),
                                first, second, style_of(name).digits));
        }
    };
    std::set<const json*> seen;
    for (const json& each : a.run.result.at("evaluations")) {
        const json* other = counterpart(b.run, each);
        seen.insert(other);
        add(&each, other);
    }
    for (const json& each : b.run.result.at("evaluations"))
        if (!seen.contains(&each)) add(nullptr, &each);
}

std::string figures(const RunRecord& a, const RunRecord& b) {
    const Measured first{a, "compressed"};
    const Measured second{b, "compressed"};
    std::vector<std::vector<std::string>> rows;
    for (const char* name : {"bits", "bytes", "seconds", "memory"})
        rows.push_back(
            line(style_of(name).title, first.figure(name), second.figure(name), style_of(name).digits));
    std::string apart;
    add_evaluations(first, second, rows, apart);
    return markdown_table({"figure", "A", "B", "B - A", "p"}, rows) + apart;
}

/// The models that any evaluation of the run has figures of.
std::vector<std::string> models_of(const RunRecord& run) {
    std::vector<std::string> models;
    for (const json& each : run.result.at("evaluations"))
        for (const auto& [model, figures] : each.at("models").items())
            if (std::ranges::find(models, model) == models.end()) models.push_back(model);
    return models;
}

void require_model(const RunRecord& run, const ModelName& model) {
    const auto models = models_of(run);
    require(!models.empty(), "{}: {}, so there is nothing to compare", run.directory.string(),
            run.diverged() ? "its learning diverged" : "it was not evaluated");
    require(std::ranges::find(models, model) != models.end(), "{} has no model \"{}\"{}; it has {}",
            run.directory.string(), model, suggestion(model, models), fmt::join(models, ", "));
}

/// Whether both runs kept predictions of one protocol.
bool have_predictions(const RunRecord& a, const RunRecord& b) {
    for (const json& first : a.items)
        for (const json& second : b.items)
            if (first.contains("expected") && second.contains("expected") &&
                first.value("protocol", json()) == second.value("protocol", json()))
                return true;
    return false;
}

std::string describe(const CompressedMatrix& matrix) {
    const Layout& layout = matrix.layout;
    std::string text = fmt::format("{} bits, {} groups", layout.bits, layout.groups());
    if (layout.dimension > 1) text += fmt::format(", vectors of {}", layout.dimension);
    if (layout.residual > 1) text += fmt::format(", {} stages", layout.residual);
    return text;
}

double squared(const Tensor& tensor) {
    double sum = 0;
    for (std::int64_t i = 0; i < tensor.size(); ++i)
        sum += static_cast<double>(tensor.data<float>()[i]) * static_cast<double>(tensor.data<float>()[i]);
    return sum;
}

/// ||a - b||^2 / ||a||^2 of tensors of one shape.
double relative_distance(const Tensor& a, const Tensor& b) {
    Tensor difference = a.clone();
    for (std::int64_t i = 0; i < a.size(); ++i) difference.data<float>()[i] -= b.data<float>()[i];
    const double size = squared(a);
    const double distance = squared(difference);
    return size > 0 ? distance / size : distance;
}

/// Share of codes that are the same; nothing where mappings have different shapes.
std::string equal_codes(const CompressedMatrix& a, const CompressedMatrix& b) {
    if (a.mapping.shape() != b.mapping.shape() || a.row_order != b.row_order) return "-";
    std::int64_t same = 0;
    for (std::int64_t i = 0; i < a.mapping.size(); ++i)
        same += a.mapping.data<std::uint8_t>()[i] == b.mapping.data<std::uint8_t>()[i] ? 1 : 0;
    return fmt::format("{:.4f}", static_cast<double>(same) / static_cast<double>(a.mapping.size()));
}

std::string tensors(const Artifact& a, const Artifact& b, bool all_tensors) {
    std::set<std::string> names;
    for (const Artifact* side : {&a, &b}) {
        for (const auto& [name, matrix] : side->matrices) names.insert(name);
        for (const auto& [name, tensor] : side->tensors) names.insert(name);
    }
    std::vector<std::vector<std::string>> rows;
    std::size_t identical = 0;
    for (const std::string& name : names) {
        const auto kind = [&](const Artifact& side) -> std::string {
            if (const auto matrix = side.matrices.find(name); matrix != side.matrices.end())
                return describe(matrix->second);
            const auto tensor = side.tensors.find(name);
            return tensor == side.tensors.end() ? "-" : std::string(name_of(tensor->second.encoding));
        };
        std::vector<std::string> row{name, kind(a), kind(b), "-", "-"};
        if (row[1] != "-" && row[2] != "-") {
            const auto first = a.matrices.find(name);
            const auto second = b.matrices.find(name);
            const bool both_compressed = first != a.matrices.end() && second != b.matrices.end();
            const Tensor one = a.weights(name);
            const Tensor other = b.weights(name);
            const bool is_same = both_compressed
                                     ? first->second.identical(second->second)
                                     : one.shape() == other.shape() && relative_distance(one, other) == 0;
            if (is_same && row[1] == row[2]) {
                ++identical;
                if (!all_tensors) continue;
            }
            row[3] = one.shape() == other.shape() ? fmt::format("{:.3e}", relative_distance(one, other))
                                                  : "other shape";
            if (both_compressed) row[4] = equal_codes(first->second, second->second);
        }
        rows.push_back(std::move(row));
    }
    std::string text = fmt::format("{} tensors, {} identical\n", names.size(), identical);
    if (rows.empty()) return text;
    return text + "\n" +
           markdown_table({"tensor", "A", "B", "relative squared distance", "equal codes"}, rows, 3);
}

}  // namespace

std::string compare(const fs::path& first, const fs::path& second, bool all_tensors) {
    const Side a = open_side(first);
    const Side b = open_side(second);
    std::string text = fmt::format("A: {}\nB: {}\n\n", first.string(), second.string());
    if (a.run && b.run) text += settings(*a.run, *b.run) + "\n" + figures(*a.run, *b.run) + "\n";
    if (a.run && b.run && have_predictions(*a.run, *b.run))
        text += comparison_table(compare_runs({a.run->directory}, {b.run->directory})) + "\n";
    const bool has_artifacts = fs::is_regular_file(a.artifact) && fs::is_regular_file(b.artifact);
    require(has_artifacts || (a.run && b.run), "{}: there is no such file",
            (fs::is_regular_file(a.artifact) ? b : a).artifact.string());
    if (has_artifacts) text += tensors(read_artifact(a.artifact), read_artifact(b.artifact), all_tensors);
    return text;
}

std::string compare_models(const RunModel& first, const RunModel& second) {
    const RunRecord a = open_run(first.directory);
    const RunRecord b = open_run(second.directory);
    require_model(a, first.model);
    require_model(b, second.model);
    std::vector<std::vector<std::string>> rows;
    const Measured one{a, first.model};
    const Measured other{b, second.model};
    for (const char* name : {"bits", "bytes"})
        rows.push_back(
            line(style_of(name).title, one.figure(name), other.figure(name), style_of(name).digits));
    const std::size_t stored = rows.size();
    std::string apart;
    add_evaluations(one, other, rows, apart);
    require(rows.size() > stored, "{} and {} have no evaluation of one protocol in common",
            a.directory.string(), b.directory.string());
    std::string text = fmt::format("A: {}\nB: {}\n\n", name_of(first), name_of(second));
    text += markdown_table({"figure", "A", "B", "B - A", "p"}, rows) + apart;
    if (have_predictions(a, b)) text += "\n" + comparison_table(compare_runs(first, second));
    return text;
}

}  // namespace jlcm
