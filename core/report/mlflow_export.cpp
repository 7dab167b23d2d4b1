#include "core/report/mlflow_export.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/report/tracked_run.hpp"
#include "core/spec/problems.hpp"

#include <cstdlib>
#include <fstream>

#include <unistd.h>

namespace jlcm {
namespace {

namespace fs = std::filesystem;

constexpr const char* description = "meta.yaml";
/// mlflow.entities.RunStatus.FINISHED and SourceType.LOCAL.
constexpr int finished = 3;
constexpr int local = 4;

std::string uri(const fs::path& path) {
    return "file://" + fs::absolute(path).lexically_normal().string();
}

std::string yaml(const std::vector<std::pair<std::string, Config>>& values) {
    Config map = Config::map();
    for (const auto& [key, value] : values) map.entry(key).value = value;
    return to_yaml(map);
}

Config number(std::int64_t value) {
    return Config::literal(std::to_string(value));
}

void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    if (!(file << text).flush()) throw Error(ErrorKind::system, path.string() + ": cannot be written");
}

/// The experiment's name as its description has it; empty where the directory is none.
std::string name_of_experiment(const fs::path& directory) {
    const fs::path file = directory / description;
    if (!fs::is_regular_file(file)) return {};
    Problems problems;
    const auto config = parse_config(read_file(file), {file.string(), 1, 1}, problems);
    problems.throw_if_any();
    const Config* name = config ? config->find("name") : nullptr;
    return name != nullptr ? name->text : std::string();
}

/// The directory of the experiment of that name, which is made where there is none. Its number is made of its
/// name.
fs::path experiment(const fs::path& store, const std::string& name, std::int64_t time) {
    for (const auto& entry : fs::directory_iterator(store))
        if (entry.is_directory() && name_of_experiment(entry.path()) == name) return entry.path();
    constexpr std::uint64_t digits = 1'000'000'000'000'000'000;
    const std::uint64_t number_of_name = std::stoull(sha256(name).substr(0, 15), nullptr, 16) % digits;
    const std::string id = std::to_string(number_of_name);
    fs::path directory = store / id;
    write_file(directory / description, yaml({{"artifact_location", Config::string(uri(directory))},
                                              {"creation_time", number(time)},
                                              {"experiment_id", Config::string(id)},
                                              {"last_update_time", number(time)},
                                              {"lifecycle_stage", Config::string("active")},
                                              {"name", Config::string(name)}}));
    return directory;
}

void write_run(const fs::path& experiment_directory, const TrackedRun& run) {
    const std::string id = run.id.substr(0, 32);
    const char* user = std::getenv("USER");
    const fs::path target = experiment_directory / id;
    const fs::path made = experiment_directory / fmt::format("{}.tmp.{}", id, ::getpid());
    write(made / description,
          yaml({{"artifact_uri", Config::string(uri(run.directory))},
                {"end_time", number(run.end)},
                {"entry_point_name", Config::string("")},
                {"experiment_id", Config::string(experiment_directory.filename().string())},
                {"lifecycle_stage", Config::string("active")},
                {"run_id", Config::string(id)},
                {"run_name", Config::string(run.title)},
                {"run_uuid", Config::string(id)},
                {"source_name", Config::string("jlcm-run")},
                {"source_type", number(local)},
                {"source_version", Config::string("")},
                {"start_time", number(run.begin)},
                {"status", number(finished)},
                {"tags", Config::list()},
                {"user_id", Config::string(user != nullptr ? user : "")}}));
    fs::create_directories(made / "artifacts");  // without it MLflow takes the directory for none of a run
    for (const auto& [key, value] : run.parameters) write(made / "params" / key, value);
    for (const auto& [key, value] : run.tags) write(made / "tags" / key, value);
    write(made / "tags/mlflow.runName", run.title);
    for (const TrackedMetric& metric : run.metrics) {
        std::string lines;
        for (const auto& [step, value] : metric.values)
            lines += fmt::format("{} {} {}\n", run.end, value, step);
        write(made / "metrics" / metric.name, lines);
    }
    fs::remove_all(target);
    fs::rename(made, target);
}

}  // namespace

void write_mlflow(const fs::path& store, const std::vector<RunRecord>& runs) {
    require(!fs::exists(store) || fs::is_directory(store), "{}: not a directory", store.string());
    fs::create_directories(store);
    for (const RunRecord& each : runs) {
        const TrackedRun run = tracked(each);
        write_run(experiment(store, run.name, run.end), run);
    }
}

}  // namespace jlcm
