#include "core/report/run_figures.hpp"

#include "core/base/error.hpp"
#include "core/model/divergence_distribution.hpp"
#include "core/run/result.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace jlcm {
namespace {

using nlohmann::json;

/// The node at a dotted path, or nullptr.
const json* at_path(const json& root, const std::string& path) {
    const json* node = &root;
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find('.', begin), path.size());
        const std::string word = path.substr(begin, end - begin);
        if (node->is_object() && node->contains(word)) {
            node = &node->at(word);
        } else if (node->is_array() && !word.empty() && std::ranges::all_of(word, ::isdigit) &&
                   word.size() < 6 && std::stoul(word) < node->size()) {
            node = &node->at(std::stoul(word));
        } else {
            return nullptr;
        }
        begin = end + 1;
    }
    return node;
}

const Config* at_path(const Config& root, const std::string& path) {
    const Config* node = &root;
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find('.', begin), path.size());
        const std::string word = path.substr(begin, end - begin);
        const bool is_index = !word.empty() && word.size() < 6 && std::ranges::all_of(word, ::isdigit);
        if (node->kind == Config::Kind::list && is_index && std::stoul(word) < node->items.size()) {
            node = &node->items[std::stoul(word)];
        } else {
            node = node->find(word);
        }
        if (node == nullptr) return nullptr;
        begin = end + 1;
    }
    return node;
}

std::string text_of(const Config& value) {
    if (value.kind == Config::Kind::null) return "none";
    if (value.kind == Config::Kind::scalar) return value.text;
    const Config* type = value.find("type");
    return type != nullptr ? type->text : to_flow_yaml(value);
}

/// Whether a figure compares a model with the original, whatever the metric.
bool compares_with_original(const std::string& figure) {
    return figure == "kl" || figure == "agreement" || figure == "kl_by_confidence" ||
           std::ranges::find(kl_quantiles, figure) != kl_quantiles.end();
}

bool has_figure(const json& evaluation, const std::string& figure) {
    if (!compares_with_original(figure)) return evaluation.at("metric") == figure;
    return std::ranges::any_of(evaluation.at("models"),
                               [&](const json& figures) { return figures.contains(figure); });
}

/// What the metric is a mean of: a score an item, or whether its prediction is right. Empty where not kept,
/// and where any is not finite.
std::vector<double> items_of(const RunRecord& run, const std::string& title, const json& protocol,
                             const ModelName& model) {
    if (!run.items.is_array()) return {};
    for (const json& each : run.items) {
        if (!each.is_object() || each.value("title", json()) != title) continue;
        if (each.contains("protocol") && each.at("protocol") != protocol) continue;
        const json models = each.value("models", json());
        const json items = models.is_object() ? models.value(model, json()) : json();
        const json expected = each.value("expected", json());
        if (!items.is_array() || (expected.is_array() && expected.size() != items.size())) return {};
        std::vector<double> values;
        for (std::size_t i = 0; i < items.size(); ++i) {
            if (items[i].is_null()) return {};
            if (expected.is_array()) {
                values.push_back(items[i] == expected[i] ? 1 : 0);
            } else if (items[i].is_number()) {
                values.push_back(items[i]);
            } else {
                return {};
            }
        }
        return values;
    }
    return {};
}

std::optional<RunFigure> evaluated(const RunRecord& run, const ModelName& model, const std::string& figure,
                                   const std::string& wanted) {
    const json* evaluation = evaluation_with(run, figure, wanted);
    if (evaluation == nullptr || !evaluation->at("models").contains(model)) return std::nullopt;
    const json& figures = evaluation->at("models").at(model);
    const bool is_value = !compares_with_original(figure);
    const auto value = recorded_figure(figures, is_value ? "value" : figure);
    if (!value) return std::nullopt;
    RunFigure result{.value = *value, .error = {}, .protocol = evaluation->at("protocol"), .items = {}};
    if (is_value) {
        result.error = recorded_figure(figures, "stderr");
        result.items = items_of(run, evaluation->at("title"), result.protocol, model);
    }
    return result;
}

std::optional<RunFigure> learned(const RunRecord& run, const std::string& name) {
    const LearningMetrics& metrics = run.metrics();
    if (name == "loss") {
        for (const char* stage : {"distill", "learn"})
            if (const auto found = metrics.losses.find(stage); found != metrics.losses.end())
                return RunFigure{.value = found->second.back(), .error = {}, .protocol = {}, .items = {}};
        return std::nullopt;
    }
    const double all = std::accumulate(metrics.jumps.begin(), metrics.jumps.end(), 0.0);
    if (name == "moves")
        return RunFigure{
            .value = all /
                     recorded_figure(run.result.at("footprint"), "compressed_weights").value_or(not_a_number),
            .error = {},
            .protocol = {},
            .items = {}};
    if (all == 0) return std::nullopt;
    const auto length = [&](std::size_t i) { return i < metrics.jumps.size() ? metrics.jumps[i] : 0.0; };
    const double count = name == "jumps.1"   ? length(0)
                         : name == "jumps.2" ? length(1)
                                             : all - length(0) - length(1);
    return RunFigure{.value = count / all, .error = {}, .protocol = {}, .items = {}};
}

std::optional<double> spent(const RunRecord& run, const std::string& name) {
    double total = 0;
    for (const json& stage : run.result.at("stages")) {
        if (name == "memory") {
            total = std::max(total, recorded_figure(stage, "peak_memory_bytes").value_or(0) / 1e6);
        } else if (name == "seconds" || name == "seconds." + stage.at("name").get<std::string>()) {
            total += recorded_figure(stage, "seconds").value_or(0);
        }
    }
    return total > 0 ? std::optional(total) : std::nullopt;
}

/// What everything but loading and evaluation takes, without a stage cache.
std::optional<double> minutes_of_compressing(const RunRecord& run) {
    double seconds = 0;
    for (const json& stage : run.result.at("stages")) {
        const std::string name = stage.at("name");
        if (name == "load" || name == "evaluate") continue;
        seconds += recorded_figure(stage, "seconds").value_or(0) +
                   recorded_figure(stage.value("cached", json()), "seconds").value_or(0);
    }
    return seconds > 0 ? std::optional(seconds / 60) : std::nullopt;
}

std::optional<double> stored(const RunRecord& run, const ModelName& model, const std::string& name) {
    const json& footprint = run.result.at("footprint");
    const bool is_original = model == "original";
    if (name == "bits")
        return recorded_figure(footprint,
                               is_original ? "source_linear_bits_per_weight" : "linear_bits_per_weight");
    if (name == "bytes") return recorded_figure(footprint, is_original ? "source_bytes" : "file_bytes");
    return is_original ? std::nullopt : recorded_figure(footprint, "ratio_to_16_bits");
}

}  // namespace

const json* evaluation_with(const RunRecord& run, const std::string& figure, const std::string& wanted) {
    std::vector<const json*> found;
    std::string titles;
    for (const json& each : run.result.at("evaluations")) {
        const bool is_figure = has_figure(each, figure);
        const auto title = each.at("title").get<std::string>();
        if (is_figure && title == wanted) return &each;
        if (!is_figure || title.find(wanted) == std::string::npos) continue;
        found.push_back(&each);
        titles += fmt::format("\n  \"{}\"", title);
    }
    require(found.size() <= 1,
            "{}: {} of which evaluation? Name one by a part of its title (`evaluation` of a table's column, "
            "--evaluation of jlcm-plot):{}",
            run.directory.string(), figure, titles);
    return found.empty() ? nullptr : found.front();
}

std::optional<std::string> key_text(const RunRecord& run, const ModelName& model, const std::string& key) {
    if (const std::string* label = find(run.labels, key)) return *label;
    if (key == "model") return model;
    if (key == "run") return run.name();
    if (key == "hash") return run.hash().substr(0, 12);
    if (key == "name") return run.result.at("name").get<std::string>();
    if (const Config* value = at_path(run.spec, key)) return text_of(*value);
    if (const json* value = at_path(run.result, key))
        return value->is_string() ? value->get<std::string>() : value->dump();
    return std::nullopt;
}

std::vector<RunRecord> selected(std::vector<RunRecord> runs, const Selection& selection) {
    std::erase_if(runs, [&](const RunRecord& run) {
        return !std::ranges::all_of(selection, [&](const auto& condition) {
            return condition.second.contains(key_text(run, "compressed", condition.first).value_or("-"));
        });
    });
    require(!runs.empty(), "no run fits all conditions");
    return runs;
}

std::optional<RunFigure> figure_of(const RunRecord& run, const ModelName& model, const std::string& name,
                                   const std::string& evaluation) {
    const auto plain = [](std::optional<double> value) -> std::optional<RunFigure> {
        if (!value) return std::nullopt;
        return RunFigure{.value = *value, .error = {}, .protocol = {}, .items = {}};
    };
    if (auto figure = evaluated(run, model, name, evaluation)) return figure;
    if (name == "bits" || name == "bytes" || name == "ratio")
        return plain(run.diverged() && model != "original" ? not_a_number : stored(run, model, name));
    if (model != "compressed") return std::nullopt;
    if (name == "memory" || name == "seconds" || name.starts_with("seconds.")) return plain(spent(run, name));
    if (name == "minutes") return plain(minutes_of_compressing(run));
    if (run.diverged()) return plain(not_a_number);
    if (name == "loss" || name == "moves" || name.starts_with("jumps.")) return learned(run, name);
    if (const json* value = at_path(run.result, name); value != nullptr && value->is_number())
        return plain(value->get<double>());
    return std::nullopt;
}

FigureStyle style_of(const std::string& figure) {
    using Better = FigureStyle::Better;
    static const std::map<std::string, FigureStyle> styles = {
        {"perplexity", {"perplexity", 2, false, Better::low}},
        {"kl", {"KL", 3, false, Better::low}},
        {"kl_median", {"median KL", 3, false, Better::low}},
        {"kl_p90", {"90 % KL", 3, false, Better::low}},
        {"kl_p99", {"99 % KL", 3, false, Better::low}},
        {"agreement", {"agreement", 3, false, Better::high}},
        {"top-1 %", {"top-1 %", 2, false, Better::high}},
        {"bits", {"bits per linear weight", 3, false, Better::neither}},
        {"bytes", {"file bytes", 0, false, Better::neither}},
        {"ratio", {"times smaller than 16 bits", 2, false, Better::neither}},
        {"seconds", {"seconds", 0, false, Better::neither}},
        {"minutes", {"minutes of compressing", 1, false, Better::neither}},
        {"memory", {"memory, MB", 0, false, Better::neither}},
        {"loss", {"last loss", 4, false, Better::low}},
        {"moves", {"jumps a weight", 3, false, Better::neither}},
        {"jumps.1", {"by 1", 1, true, Better::neither}},
        {"jumps.2", {"by 2", 1, true, Better::neither}},
        {"jumps.3+", {"by 3 or more", 1, true, Better::neither}}};
    if (const auto found = styles.find(figure); found != styles.end()) return found->second;
    if (figure.starts_with("seconds.")) return {figure.substr(8) + ", s", 0, false, Better::neither};
    return {figure, 3, false, Better::neither};
}

std::vector<std::string> evaluation_titles(const std::vector<RunRecord>& runs) {
    std::vector<std::string> titles;
    for (const RunRecord& run : runs)
        for (const json& each : run.result.at("evaluations"))
            if (const std::string title = each.at("title"); std::ranges::find(titles, title) == titles.end())
                titles.push_back(title);
    return titles;
}

}  // namespace jlcm
