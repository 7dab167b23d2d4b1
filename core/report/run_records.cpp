#include "core/report/run_records.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/json_error.hpp"
#include "core/model/evaluation.hpp"
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
        fail("{}: {}", path.string(), json_error(error));
    }
}

bool is_run(const fs::path& directory) {
    return fs::is_regular_file(directory / "result.json");
}

/// Refuses a result that lacks what every reader of records takes, whoever wrote it.
void check_result(const json& result, const std::string& path) {
    require(result.is_object() && result.value("version", json()) == 1 && result.contains("identity") &&
                result.contains("evaluations") && result.contains("footprint"),
            "{}: not a result of jlcm-run, version 1", path);
    const auto is_text = [](const json& record, const char* key) {
        return record.is_object() && record.contains(key) && record.at(key).is_string();
    };
    require(is_text(result, "name") && is_text(result, "hash") && is_text(result.at("identity"), "spec"),
            "{}: it has no name, no hash or no spec", path);
    require(result.at("footprint").is_object() || result.contains("diverged"), "{}: it has no footprint",
            path);
    require(result.at("evaluations").is_array(), "{}: evaluations is no list", path);
    for (const json& each : result.at("evaluations")) {
        require(is_text(each, "title") && is_text(each, "metric"),
                "{}: an evaluation has no title or no metric", path);
        require(
            each.contains("models") && each.at("models").is_object() &&
                std::ranges::all_of(each.at("models"), [](const json& model) { return model.is_object(); }),
            "{}: the evaluation \"{}\" has no figures by model", path, each.at("title").get<std::string>());
    }
    const json stages = result.value("stages", json::array());
    require(stages.is_array() &&
                std::ranges::all_of(stages, [&](const json& each) { return is_text(each, "name"); }),
            "{}: stages is no list of what has a name", path);
}

bool is_hash(const std::string& key) {
    return key.ends_with("_sha256");
}

std::string shown(const json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

/// Keys whose value is not the same in all protocols, those that say most first.
std::vector<std::string> keys_that_differ(const std::vector<json>& protocols) {
    std::set<std::string> keys;
    for (const json& protocol : protocols)
        if (protocol.is_object())
            for (const auto& [key, value] : protocol.items()) keys.insert(key);
    const auto differs = [&](const std::string& key) {
        return std::ranges::any_of(protocols, [&](const json& protocol) {
            return protocol.value(key, json()) != protocols.front().value(key, json());
        });
    };
    std::vector<std::string> found;
    for (const char* key : {"text", "images", "task", "dataset", "split", "context", "length", "positions",
                            "bos", "windows", "items", "limit"})
        if (keys.erase(key) > 0 && differs(key)) found.emplace_back(key);
    for (const bool hashes : {false, true})
        for (const std::string& key : keys)
            if (is_hash(key) == hashes && differs(key)) found.push_back(key);
    return found;
}

/// What is written behind a title that several protocols have: the first key that tells all of them apart, or
/// all keys that differ.
std::vector<std::string> distinctions(const std::vector<json>& protocols) {
    const auto keys = keys_that_differ(protocols);
    const auto values = [&](const std::vector<std::string>& some) {
        std::vector<std::string> texts;
        for (const json& protocol : protocols) {
            std::string text;
            for (const std::string& key : some) {
                const std::string value = shown(protocol.value(key, json("none")));
                text += fmt::format(", {} {}", key, is_hash(key) ? value.substr(0, 12) : value);
            }
            texts.push_back(std::move(text));
        }
        return texts;
    };
    for (const std::string& key : keys) {
        auto texts = values({key});
        if (std::set(texts.begin(), texts.end()).size() == texts.size()) return texts;
    }
    return values(keys);
}

json protocol_of(const json& record) {
    const auto found = record.find("protocol");
    return found != record.end() && found->is_object() ? *found : json::object();
}

/// The items of an evaluation of the run that has this title and protocol, or null.
json* items_with(RunRecord& run, const std::string& title, const json& protocol) {
    if (!run.items.is_array()) return nullptr;
    for (json& each : run.items)
        if (each.is_object() && each.value("title", json()) == title &&
            (!each.contains("protocol") || protocol_of(each) == protocol))
            return &each;
    return nullptr;
}

/// What a run measured twice in one way is there once.
void drop_repetitions(RunRecord& run) {
    json kept = json::array();
    for (json& each : run.result.at("evaluations")) {
        each["protocol"] = protocol_of(each);
        const bool is_again = std::ranges::any_of(kept, [&](const json& other) {
            return other.at("title") == each.at("title") && other.at("protocol") == each.at("protocol") &&
                   other.at("models") == each.at("models");
        });
        if (!is_again) kept.push_back(std::move(each));
    }
    run.result["evaluations"] = std::move(kept);
}

/// Titles that one of the runs has more than once.
std::set<std::string> repeated_titles(const std::vector<RunRecord>& runs) {
    std::set<std::string> repeated;
    for (const RunRecord& run : runs) {
        std::set<std::string> seen;
        for (const json& each : run.result.at("evaluations"))
            if (!seen.insert(each.at("title")).second) repeated.insert(each.at("title"));
    }
    return repeated;
}

/// Gives evaluations of one title and several protocols titles of their own, the same in all runs.
void tell_apart(std::vector<RunRecord>& runs, const std::string& title) {
    std::vector<json> protocols;
    for (const RunRecord& run : runs)
        for (const json& each : run.result.at("evaluations"))
            if (each.at("title") == title &&
                std::ranges::find(protocols, each.at("protocol")) == protocols.end())
                protocols.push_back(each.at("protocol"));
    const auto behind = distinctions(protocols);
    for (RunRecord& run : runs) {
        std::set<std::string> taken;
        for (json& each : run.result.at("evaluations")) {
            if (each.at("title") != title) continue;
            const json protocol = each.at("protocol");
            const auto at = std::ranges::find(protocols, protocol) - protocols.begin();
            std::string own = title + behind[static_cast<std::size_t>(at)];
            // Other figures under one protocol, which then does not say all.
            for (int number = 2; !taken.insert(own).second; ++number)
                own = fmt::format("{}{}, again {}", title, behind[static_cast<std::size_t>(at)], number);
            if (json* items = items_with(run, title, protocol)) (*items)["title"] = own;
            each["title"] = own;
        }
    }
}

RunRecord read_run(const fs::path& directory) {
    check_checksums({directory}, {"result.json", "predictions.json"});
    RunRecord run{.directory = directory,
                  .labels = {},
                  .result = read_json(directory / "result.json"),
                  .items = {},
                  .spec = {}};
    const json& result = run.result;
    check_result(result, (directory / "result.json").string());
    Problems problems;
    const auto spec = parse_config(result.at("identity").at("spec").get<std::string>(),
                                   {(directory / "result.json").string(), 0, 0}, problems);
    problems.throw_if_any();
    if (spec) run.spec = *spec;
    if (fs::is_regular_file(directory / "predictions.json"))
        run.items = read_json(directory / "predictions.json");
    if (!run.result.contains("stages")) run.result["stages"] = json::array();
    drop_repetitions(run);
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

LearningMetrics read_learning(const fs::path& directory) {
    const fs::path path = directory / "metrics.jsonl";
    check_checksums({directory}, {path.filename()});
    std::ifstream file(path);
    require(file.is_open(), "{}: cannot be read", path.string());
    LearningMetrics metrics;
    std::map<std::string, std::vector<std::pair<double, int>>> sums;
    const auto number = [](const json& value) {
        return value.is_null() ? not_a_number : value.get<double>();
    };
    int line_number = 0;
    for (std::string line; std::getline(file, line);) {
        ++line_number;
        try {
            const json record = json::parse(line);
            const std::string stage = record.at("stage");
            if (stage == "solve") {
                auto& objective =
                    metrics.objectives.emplace_back(record.at("weight"), std::vector<double>()).second;
                for (const json& each : record.at("objective")) objective.push_back(number(each));
                metrics.solved.push_back({.weight = record.at("weight"),
                                          .block = record.value("block", 0),
                                          .error = number(record.value("error", json()))});
                continue;
            }
            const auto step = record.at("step").get<std::size_t>();
            auto& losses = sums[stage];
            if (losses.size() <= step) losses.resize(step + 1);
            const double loss = number(record.at("loss"));
            losses[step].first += loss;
            losses[step].second += 1;
            if (record.contains("block")) metrics.block_losses[record.at("block")] = loss;
            const json jumps = record.value("jumps", json::array());
            if (metrics.jumps.size() < jumps.size()) metrics.jumps.resize(jumps.size());
            auto& steps = metrics.jumps_of_steps[stage];
            if (steps.size() <= step) steps.resize(step + 1);
            if (steps[step].size() < jumps.size()) steps[step].resize(jumps.size());
            for (std::size_t i = 0; i < jumps.size(); ++i) {
                metrics.jumps[i] += jumps[i].get<double>();
                steps[step][i] += jumps[i].get<double>();
            }
        } catch (const json::exception& error) {
            fail("{}:{}: {}", path.string(), line_number, json_error(error));
        }
    }
    for (const auto& [stage, losses] : sums)
        for (const auto& [sum, count] : losses) metrics.losses[stage].push_back(count > 0 ? sum / count : 0);
    return metrics;
}

}  // namespace

const LearningMetrics& RunRecord::metrics() const {
    if (!read_metrics) read_metrics = std::make_shared<const LearningMetrics>(read_learning(directory));
    return *read_metrics;
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
    for (const std::string& title : repeated_titles(runs)) tell_apart(runs, title);
    return runs;
}

std::string text_at(const json& record, const char* key) {
    const auto found = record.is_object() ? record.find(key) : record.end();
    return found != record.end() && found->is_string() ? found->get<std::string>() : "-";
}

std::string title_of(const RunRecord& run) {
    return run.labels.empty() ? run.name() : to_string(run.labels);
}

}  // namespace jlcm
