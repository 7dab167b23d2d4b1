#include "core/report/tracked_run.hpp"

#include "core/base/error.hpp"
#include "core/base/json_error.hpp"
#include "core/run/result.hpp"
#include "core/run/run.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>

namespace jlcm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A part of a metric's name: no separator, nothing that a tracker refuses.
std::string name_part(std::string text) {
    for (char& c : text) {
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_plain && c != '_' && c != '-' && c != '.') c = '_';
    }
    return text;
}

class MetricTable {
  public:
    explicit MetricTable(std::vector<TrackedMetric>& metrics) : metrics_(metrics) {}
    /// What is no number is left out.
    void add(const std::string& name, std::int64_t step, const json& value) {
        if (!value.is_number()) return;
        const auto [found, is_new] = index_.try_emplace(name, metrics_.size());
        if (is_new) metrics_.push_back({name, {}});
        metrics_[found->second].values.emplace_back(step, value.get<double>());
    }

  private:
    std::vector<TrackedMetric>& metrics_;
    std::map<std::string, std::size_t> index_;
};

void add_step(const json& record, MetricTable& metrics) {
    const std::string stage = record.at("stage");
    if (stage == "solve") {
        const auto& objective = record.at("objective");
        for (std::size_t round = 0; round < objective.size(); ++round)
            metrics.add("solve/" + name_part(record.at("weight")), static_cast<std::int64_t>(round),
                        objective[round]);
        return;
    }
    std::string prefix = stage + '/';
    if (record.contains("block")) prefix += fmt::format("block-{:03}/", record.at("block").get<int>());
    for (const char* key : {"loss", "moved"})
        metrics.add(prefix + key, record.at("step").get<std::int64_t>(), record.value(key, json()));
}

void add_steps(const fs::path& path, MetricTable& metrics) {
    std::ifstream file(path);
    int number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        try {
            add_step(json::parse(line), metrics);
        } catch (const json::exception& error) {
            fail("{}:{}: {}", path.string(), number, json_error(error));
        }
    }
}

void add_evaluations(const json& evaluations, TrackedRun& run, MetricTable& metrics) {
    std::map<std::string, int> count;
    for (const json& each : evaluations) ++count[each.at("metric")];
    for (std::size_t i = 0; i < evaluations.size(); ++i) {
        const json& each = evaluations[i];
        const std::string metric = each.at("metric");
        const std::string number = count[metric] > 1 ? fmt::format(".{}", i) : "";
        run.tags.emplace_back("protocol." + name_part(metric) + number,
                              json{{"title", each.at("title")}, {"protocol", each.at("protocol")}}.dump());
        for (const auto& [model, figures] : each.at("models").items()) {
            metrics.add(name_part(metric) + number + '/' + name_part(model), 0,
                        figures.value("value", json()));
            for (const char* key : {"stderr", "kl", "agreement"})
                metrics.add(key + number + '/' + name_part(model), 0, figures.value(key, json()));
        }
    }
}

std::int64_t milliseconds(fs::file_time_type time) {
    const auto system = std::chrono::file_clock::to_sys(time);
    return std::chrono::duration_cast<std::chrono::milliseconds>(system.time_since_epoch()).count();
}

}  // namespace

TrackedRun tracked(const RunRecord& record) {
    const json& result = record.result;
    TrackedRun run;
    run.id = record.hash();
    run.name = result.at("name");
    run.title = title_of(record);
    run.directory = fs::absolute(record.directory).lexically_normal();
    run.spec = to_yaml(record.spec);
    for_each_value(record.spec, Lists::entered, [&](const std::string& path, const Config& value) {
        run.parameters.emplace_back(path,
                                    value.kind == Config::Kind::scalar ? value.text : to_flow_yaml(value));
    });

    const json environment = result.value("environment", json::object());
    const json model = result.value("model", json::object());
    run.tags = {{"jlcm.hash", run.id},
                {"jlcm.version", text_at(environment, "jlcm")},
                {"jlcm.environment", environment.dump()},
                {"jlcm.model", text_at(model, "name")},
                {"jlcm.model_sha256", text_at(model, "sha256")},
                {"jlcm.artifact_sha256", text_at(result, "artifact_sha256")},
                {"jlcm.compute", text_at(result, "compute")}};
    std::string problems;
    for (const std::string& line : not_finite(result)) problems += (problems.empty() ? "" : "; ") + line;
    if (!problems.empty()) run.tags.emplace_back("jlcm.not_finite", problems);
    for (const auto& [axis, value] : record.labels) run.tags.emplace_back("axis." + name_part(axis), value);

    MetricTable metrics(run.metrics);
    if (const fs::path steps = run.directory / "metrics.jsonl"; fs::is_regular_file(steps))
        add_steps(steps, metrics);
    add_evaluations(result.at("evaluations"), run, metrics);
    for (const auto& [key, value] : result.at("footprint").items())
        metrics.add("footprint/" + name_part(key), 0, value);
    double seconds = 0;
    for (const json& stage : result.at("stages")) {
        metrics.add("seconds/" + name_part(stage.at("name")), 0, stage.value("seconds", json()));
        seconds += recorded_figure(stage, "seconds").value_or(0);
    }
    run.end = milliseconds(fs::last_write_time(run.directory / "result.json"));
    run.begin = run.end - static_cast<std::int64_t>(seconds * 1e3);
    return run;
}

}  // namespace jlcm
