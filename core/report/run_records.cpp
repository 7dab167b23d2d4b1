#include "core/report/run_records.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/spec/problems.hpp"
#include "core/store/run_directory.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace jlcm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json read_json(const fs::path& path) {
    try {
        return json::parse(read_file(path));
    } catch (const json::exception& error) {
        fail("{}: {}", path.string(), error.what());
    }
}

bool is_run(const fs::path& directory) {
    return fs::is_regular_file(directory / "result.json");
}

RunRecord read_run(const fs::path& directory) {
    check_checksums({directory}, {"result.json", "predictions.json"});
    RunRecord run{.directory = directory,
                  .labels = {},
                  .result = read_json(directory / "result.json"),
                  .items = {},
                  .spec = {}};
    const json& result = run.result;
    require(result.is_object() && result.value("version", 0) == 1 && result.contains("identity") &&
                result.contains("evaluations") && result.contains("footprint"),
            "{}: not a result of jlcm-run, version 1", (directory / "result.json").string());
    Problems problems;
    const auto spec = parse_config(result.at("identity").at("spec").get<std::string>(),
                                   {(directory / "result.json").string(), 0, 0}, problems);
    problems.throw_if_any();
    if (spec) run.spec = *spec;
    if (fs::is_regular_file(directory / "predictions.json"))
        run.items = read_json(directory / "predictions.json");
    return run;
}

/// Directories of runs below `place`, sorted.
std::vector<fs::path> runs_below(const fs::path& place) {
    if (is_run(place)) return {place};
    std::vector<fs::path> below;
    for (const auto& entry : fs::directory_iterator(place))
        if (entry.is_directory()) below.push_back(entry.path());
    std::ranges::sort(below);
    std::vector<fs::path> found;
    for (const fs::path& each : below) std::ranges::move(runs_below(each), std::back_inserter(found));
    return found;
}

bool is_sweep(const fs::path& path) {
    return path.string().ends_with(".sweep.json");
}

std::vector<fs::path> sweeps_in(const fs::path& directory) {
    std::vector<fs::path> sweeps;
    for (const auto& entry : fs::directory_iterator(directory))
        if (entry.is_regular_file() && is_sweep(entry.path())) sweeps.push_back(entry.path());
    std::ranges::sort(sweeps);
    return sweeps;
}

std::vector<std::string> split(const std::string& path) {
    std::vector<std::string> parts;
    std::istringstream stream(path);
    for (std::string part; std::getline(stream, part, '/');) parts.push_back(part);
    return parts;
}

Labels labels_from_path(const fs::path& path, const fs::path& place, const std::string& pattern) {
    const std::string below = fs::relative(path, place).string();
    const auto parts = split(below);
    const auto wanted = split(pattern);
    Labels labels;
    bool fits = parts.size() == wanted.size();
    for (std::size_t i = 0; fits && i < parts.size(); ++i) {
        const std::string& part = wanted[i];
        if (part.size() > 2 && part.front() == '{' && part.back() == '}') {
            labels.emplace_back(part.substr(1, part.size() - 2), parts[i]);
        } else {
            fits = part == "*" || part == parts[i];
        }
    }
    require(fits, "{}: the path {} does not fit \"{}\"", place.string(), below, pattern);
    return labels;
}

class Reader {
  public:
    void read_sweep(const fs::path& file) {
        const json sweep = read_json(file);
        require(sweep.is_object() && sweep.contains("runs") && sweep.contains("axes"),
                "{}: not a sweep's file", file.string());
        for (const json& run : sweep.at("runs")) {
            const fs::path directory = file.parent_path() / run.at("directory").get<std::string>();
            if (!is_run(directory)) continue;
            Labels labels;
            for (const json& axis : sweep.at("axes"))
                if (const json& known = run.at("labels"); known.contains(axis.get<std::string>()))
                    labels.emplace_back(axis, known.at(axis.get<std::string>()));
            add(directory, std::move(labels));
        }
    }

    void read_place(const fs::path& place, const std::string& pattern) {
        if (is_sweep(place) && fs::is_regular_file(place)) return read_sweep(place);
        require(fs::is_directory(place), "{}: neither a directory of runs nor a sweep's file",
                place.string());
        if (!is_run(place))
            for (const fs::path& sweep : sweeps_in(place)) read_sweep(sweep);
        for (const fs::path& directory : runs_below(place))
            add(directory, pattern.empty() || directory == place
                               ? Labels{}
                               : labels_from_path(directory, place, pattern));
    }

    [[nodiscard]] std::vector<RunRecord> take() { return std::move(runs_); }

  private:
    void add(const fs::path& directory, Labels labels) {
        if (!seen_.insert(fs::canonical(directory)).second) return;
        RunRecord run = read_run(directory);
        if (!hashes_.insert(run.hash()).second) return;
        run.labels = std::move(labels);
        runs_.push_back(std::move(run));
    }

    std::vector<RunRecord> runs_;
    std::set<fs::path> seen_;
    std::set<std::string> hashes_;
};

}  // namespace

LearningMetrics RunRecord::metrics() const {
    const fs::path path = directory / "metrics.jsonl";
    check_checksums({directory}, {path.filename()});
    std::ifstream file(path);
    require(file.is_open(), "{}: cannot be read", path.string());
    LearningMetrics metrics;
    std::map<std::string, std::vector<std::pair<double, int>>> sums;
    int line_number = 0;
    for (std::string line; std::getline(file, line);) {
        ++line_number;
        try {
            const json record = json::parse(line);
            const std::string stage = record.at("stage");
            if (stage == "solve") {
                metrics.objectives.emplace_back(record.at("weight"),
                                                record.at("objective").get<std::vector<double>>());
                continue;
            }
            const auto step = record.at("step").get<std::size_t>();
            auto& losses = sums[stage];
            if (losses.size() <= step) losses.resize(step + 1);
            losses[step].first += record.at("loss").get<double>();
            losses[step].second += 1;
            if (record.contains("block")) metrics.block_losses[record.at("block")] = record.at("loss");
            const auto& jumps = record.at("jumps");
            if (metrics.jumps.size() < jumps.size()) metrics.jumps.resize(jumps.size());
            for (std::size_t i = 0; i < jumps.size(); ++i) metrics.jumps[i] += jumps[i].get<double>();
        } catch (const json::exception& error) {
            fail("{}:{}: {}", path.string(), line_number, error.what());
        }
    }
    for (const auto& [stage, losses] : sums)
        for (const auto& [sum, count] : losses) metrics.losses[stage].push_back(count > 0 ? sum / count : 0);
    return metrics;
}

std::vector<RunRecord> read_runs(const std::vector<fs::path>& places, const std::string& pattern) {
    Reader reader;
    for (const fs::path& place : places)
        reader.read_place(without_last_slash(place.lexically_normal()), pattern);
    auto runs = reader.take();
    if (runs.empty()) {
        std::string names;
        for (const fs::path& place : places) names += (names.empty() ? "" : ", ") + place.string();
        fail("there is no finished run (result.json) in {}", names);
    }
    return runs;
}

std::string title_of(const RunRecord& run) {
    return run.labels.empty() ? run.name() : to_string(run.labels);
}

}  // namespace jlcm
