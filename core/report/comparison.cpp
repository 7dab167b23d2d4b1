#include "core/report/comparison.hpp"

#include "core/base/error.hpp"
#include "core/codebook/artifact.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/report/paired_test.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/run_table.hpp"
#include "core/report/statistics.hpp"

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

Side open_side(const fs::path& path) {
    if (fs::is_directory(path)) {
        auto runs = read_runs({path});
        require(runs.size() == 1, "{}: {} runs; give one", path.string(), runs.size());
        const fs::path artifact = runs.front().directory / "artifact.safetensors";
        return {artifact, std::move(runs.front())};
    }
    require(is_artifact(path), "{}: neither a run's directory nor an artifact (.safetensors)", path.string());
    return {path, std::nullopt};
}

/// Every value of a spec by its path.
void flatten(const Config& node, const std::string& path, std::map<std::string, std::string>& values) {
    if (node.kind == Config::Kind::map) {
        for (const auto& entry : node.entries)
            flatten(entry.value, path.empty() ? entry.key : path + "." + entry.key, values);
    } else {
        values[path] = node.kind == Config::Kind::null ? "none" : to_flow_yaml(node);
    }
}

std::string settings(const RunRecord& first, const RunRecord& second) {
    std::map<std::string, std::string> a;
    std::map<std::string, std::string> b;
    flatten(first.spec, "", a);
    flatten(second.spec, "", b);
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

std::string figures(const RunRecord& a, const RunRecord& b) {
    const ModelName model = "compressed";
    std::vector<std::vector<std::string>> rows;
    for (const char* name : {"bits", "bytes", "seconds", "memory"})
        rows.push_back(line(style_of(name).title, figure_of(a, model, name), figure_of(b, model, name),
                            style_of(name).digits));
    std::string apart;
    for (const std::string& title : evaluation_titles({a, b})) {
        std::string metric;
        for (const RunRecord* run : {&a, &b})
            for (const json& each : run->result.at("evaluations"))
                if (each.at("title") == title) metric = each.at("metric");
        for (const std::string& name : {metric, std::string("kl"), std::string("agreement")}) {
            const auto first = figure_of(a, model, name, title);
            const auto second = figure_of(b, model, name, title);
            if (!first && !second) continue;
            if (first && second && first->protocol != second->protocol) {
                if (name == metric)
                    apart +=
                        fmt::format("{}: the protocols differ, so these figures do not compare.\n", title);
                continue;
            }
            rows.push_back(line(name == metric ? title
                                               : style_of(name).title +
                                                     title.substr(std::min(title.find(", "), title.size())),
                                first, second, style_of(name).digits));
        }
    }
    return markdown_table({"figure", "A", "B", "B - A", "p"}, rows) + apart;
}

/// McNemar's test where both runs kept predictions of one protocol; empty where they did not.
std::string predictions(const RunRecord& a, const RunRecord& b) {
    for (const json& first : a.items)
        for (const json& second : b.items)
            if (first.contains("expected") && second.contains("expected") &&
                first.at("protocol") == second.at("protocol"))
                return comparison_table(compare_runs({a.directory}, {b.directory})) + "\n";
    return "";
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
    if (a.run && b.run)
        text +=
            settings(*a.run, *b.run) + "\n" + figures(*a.run, *b.run) + "\n" + predictions(*a.run, *b.run);
    const bool has_artifacts = fs::is_regular_file(a.artifact) && fs::is_regular_file(b.artifact);
    require(has_artifacts || (a.run && b.run), "{}: there is no such file",
            (fs::is_regular_file(a.artifact) ? b : a).artifact.string());
    if (has_artifacts) text += tensors(read_artifact(a.artifact), read_artifact(b.artifact), all_tensors);
    return text;
}

}  // namespace jlcm
