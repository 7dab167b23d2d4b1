#include "core/sweep/sweep.hpp"

#include "core/base/files.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/compress/block_pass.hpp"
#include "core/plugin/load.hpp"
#include "core/report/printable.hpp"
#include "core/report/run_table.hpp"
#include "core/run/dry_run.hpp"
#include "core/run/result.hpp"
#include "core/run/run.hpp"

#include <algorithm>
#include <fstream>
#include <optional>
#include <set>

namespace jlcm {
namespace {

using nlohmann::json;

Resolved<RunSpec> decode(const Variant& variant) {
    Problems problems;
    Config given = variant.spec;
    load_plugins(given, problems);
    auto spec = resolve<RunSpec>(given, problems);
    try {
        problems.throw_if_any();
    } catch (const Error& error) {
        throw variant.labels.empty() ? error : error.within("the run " + to_string(variant.labels));
    }
    return spec;
}

bool is_selected(const Labels& labels, const Selection& selection) {
    return std::ranges::all_of(selection, [&](const auto& condition) {
        const std::string* label = find(labels, condition.first);
        return label != nullptr && condition.second.contains(*label);
    });
}

void add_once(std::vector<std::string>& all, const std::string& one) {
    if (std::ranges::find(all, one) == all.end()) all.push_back(one);
}

/// Every axis of any run, in the order of first appearance.
std::vector<std::string> axes_of(const std::vector<PlannedRun>& runs) {
    std::vector<std::string> axes;
    for (const PlannedRun& run : runs)
        for (const auto& [axis, value] : run.labels) add_once(axes, axis);
    return axes;
}

void check_selection(const std::vector<PlannedRun>& runs, const Selection& selection) {
    for (const auto& [axis, values] : selection) {
        std::vector<std::string> known;
        for (const PlannedRun& run : runs)
            if (const std::string* label = find(run.labels, axis)) add_once(known, *label);
        require(!known.empty(), "there is no axis \"{}\"{}", axis, suggestion(axis, axes_of(runs)));
        for (const std::string& value : values)
            require(std::ranges::find(known, value) != known.end(), "{} is never \"{}\"{}", axis, value,
                    suggestion(value, known));
    }
}

double seconds_of(const json& result) {
    double seconds = 0;
    for (const json& stage : result.at("stages")) seconds += recorded_figure(stage, "seconds").value_or(0);
    return seconds;
}

/// The last line of a text file, without what redraws a terminal's line; empty where there is none.
std::string last_line(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::string last;
    for (std::string line; std::getline(file, line);)
        if (!line.empty()) last = line;
    return last;
}

enum class State { waiting, running, finished, failed, stopped };

std::string name_of(State state) {
    switch (state) {
        case State::waiting:
            return "waiting";
        case State::running:
            return "running";
        case State::finished:
            return "finished";
        case State::failed:
            return "failed";
        case State::stopped:
            break;
    }
    return "stopped";
}

/// What became of a run.
struct Progressed {
    State state = State::waiting;
    std::optional<json> result;
    std::string error;
};

/// The sweep while it runs.
class Conductor final : public LaunchObserver {
  public:
    Conductor(const SweepSpec& sweep, const std::vector<PlannedRun>& runs, const std::filesystem::path& out)
        : sweep_(sweep), runs_(runs), manifest_(out / (sweep.name + ".sweep.json")), states_(runs.size()) {
        std::set<std::string> seen;
        for (std::size_t i = 0; i < runs.size(); ++i) {
            if (auto result = finished_result({runs[i].directory})) {
                remove_checkpoints({runs[i].directory});
                states_[i] = {State::finished, std::move(result), ""};
                ++before_;
            } else if (runs[i].is_selected && seen.insert(runs[i].identity.hash).second) {
                jobs_.push_back(i);
            }
        }
        progress_.emplace(sweep.name, static_cast<std::int64_t>(jobs_.size()), "runs");
        write_manifest();
    }

    /// The runs that are left, as programs.
    [[nodiscard]] std::vector<Job> jobs(const std::vector<std::string>& jlcm_run, Backend& backend) const {
        std::vector<Job> jobs;
        RunEstimator estimator(backend);
        for (const std::size_t i : jobs_) {
            const auto& directory = runs_[i].directory;
            write_file(RunFiles{directory}.spec(), to_yaml(runs_[i].spec.config));
            std::vector<std::string> command = jlcm_run;
            command.insert(command.end(),
                           {RunFiles{directory}.spec().string(), "--out", directory.parent_path().string()});
            jobs.push_back({std::move(command), log_of(i), estimator.memory_bytes(runs_[i].spec),
                            needs_former_blocks(runs_[i].spec.value.compress).empty()});
        }
        return jobs;
    }

    void started(std::size_t job) override {
        states_[jobs_[job]].state = State::running;
        write_manifest();
    }

    void ended(std::size_t job, int exit_code) override {
        const std::size_t i = jobs_[job];
        Progressed& each = states_[i];
        ++done_;
        if (exit_code == 0 || exit_code == exit_not_finite)
            each.result = finished_result({runs_[i].directory});
        if (each.result) {
            each.state = State::finished;
            log_info("[{}/{}] {}: {}, {}", done_, jobs_.size(), title_of(i), figure(*each.result),
                     format_duration(seconds_of(*each.result)));
        } else if (interrupt_requested()) {
            each.state = State::stopped;
        } else {
            each.state = State::failed;
            each.error = last_line(log_of(i));
            if (each.error.empty()) each.error = fmt::format("exit code {}", exit_code);
            log_warning("[{}/{}] {}: failed: {}", done_, jobs_.size(), title_of(i), each.error);
        }
        write_manifest();
    }

    void waiting() override {
        std::string note;
        for (const std::size_t i : jobs_)
            if (states_[i].state == State::running && note.empty())
                note = fmt::format("{}: {}", title_of(i), last_line(log_of(i)));
        if (progress_) progress_->update(static_cast<std::int64_t>(done_), note);
    }

    [[nodiscard]] SweepOutcome outcome() {
        progress_.reset();
        // A run that stands in the sweep twice has one directory.
        for (std::size_t i = 0; i < runs_.size(); ++i)
            if (states_[i].state == State::waiting)
                if (auto result = finished_result({runs_[i].directory}))
                    states_[i] = {State::finished, std::move(result), ""};
        write_manifest();
        const auto count = [&](State state) {
            return static_cast<std::size_t>(std::ranges::count(states_, state, &Progressed::state));
        };
        SweepOutcome outcome{"", count(State::failed), 0, interrupt_requested()};
        outcome.summary = fmt::format("{}: {} runs, {} finished ({} before), {} failed, {} not run\n",
                                      sweep_.name, runs_.size(), count(State::finished), before_,
                                      outcome.failed, count(State::waiting) + count(State::stopped));
        if (const std::size_t left = count(State::running); left > 0)
            outcome.summary += fmt::format("{} still run\n", left);
        for (std::size_t i = 0; i < runs_.size(); ++i)
            if (states_[i].state == State::failed)
                outcome.summary +=
                    fmt::format("failed: {}: {}\n  {}\n", title_of(i), states_[i].error, log_of(i).string());
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            const auto& result = states_[i].result;
            if (!result || !runs_[i].is_selected) continue;
            const auto lines = not_finite(*result);
            if (!lines.empty()) ++outcome.not_finite;
            for (const std::string& line : lines)
                outcome.summary += fmt::format("not finite: {}: {}\n  {}\n", title_of(i), printable(line),
                                               runs_[i].directory.string());
        }
        outcome.summary += manifest_.string() + "\n";
        return outcome;
    }

  private:
    [[nodiscard]] std::filesystem::path log_of(std::size_t run) const {
        return runs_[run].directory / "output.txt";
    }

    [[nodiscard]] std::string title_of(std::size_t run) const {
        return printable(to_string(runs_[run].labels));
    }

    static std::string figure(const json& result) {
        if (result.contains("diverged")) return "diverged";
        const json& evaluations = result.at("evaluations");
        if (evaluations.empty()) return "done";
        const json& first = evaluations.front();
        return fmt::format(
            "{} {:.4g}", printable(first.at("metric").get<std::string>()),
            recorded_figure(first.at("models").at("compressed"), "value").value_or(not_a_number));
    }

    void write_manifest() const {
        json runs = json::array();
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            json labels = json::object();
            for (const auto& [axis, value] : runs_[i].labels) labels[axis] = value;
            json run{{"labels", labels},
                     {"hash", runs_[i].identity.hash},
                     {"directory", runs_[i].directory.filename().string()},
                     {"state", name_of(states_[i].state)}};
            if (!states_[i].error.empty()) run["error"] = states_[i].error;
            runs.push_back(std::move(run));
        }
        write_file(
            manifest_,
            json{{"version", 1}, {"name", sweep_.name}, {"axes", axes_of(runs_)}, {"runs", runs}}.dump(2) +
                '\n');
    }

    const SweepSpec& sweep_;
    const std::vector<PlannedRun>& runs_;
    std::filesystem::path manifest_;
    std::vector<Progressed> states_;
    std::vector<std::size_t> jobs_;  ///< the runs that are left, by their number
    std::size_t before_ = 0;         ///< runs that were finished when this began
    std::size_t done_ = 0;           ///< jobs that have ended
    std::optional<Progress> progress_;
};

}  // namespace

std::vector<PlannedRun> plan_sweep(const SweepSpec& sweep, const std::filesystem::path& out, Backend& backend,
                                   const Selection& selection) {
    std::vector<PlannedRun> runs;
    RunIdentifier identifier(backend);
    for (const Variant& variant : expand(sweep)) {
        auto spec = decode(variant);
        auto identity = identifier.identify(spec);
        auto directory = out / identity.directory_name(spec.value);
        runs.push_back({variant.labels, std::move(spec), std::move(identity), std::move(directory),
                        is_selected(variant.labels, selection)});
    }
    check_selection(runs, selection);
    return runs;
}

std::string sweep_dry_run(const SweepSpec& sweep, const std::vector<PlannedRun>& runs, Backend& backend) {
    const std::vector<std::string> axes = axes_of(runs);
    std::vector<std::string> header{"run"};
    header.insert(header.end(), axes.begin(), axes.end());
    for (const char* title : {"bits per linear weight", "file bytes", "memory, MB", "time", "state"})
        header.emplace_back(title);
    RunEstimator estimator(backend);
    std::vector<std::vector<std::string>> rows;
    double left = 0;
    double bytes = 0;
    double measured = 0;
    double estimated = 0;
    for (const PlannedRun& run : runs) {
        if (!run.is_selected) continue;
        const RunEstimate estimate = estimator.estimate(run.spec, run.identity);
        const auto result = finished_result({run.directory});
        if (result) {
            measured += seconds_of(*result);
            estimated += estimate.total_seconds();
        } else {
            left += estimate.total_seconds();
            bytes += static_cast<double>(estimate.file_bytes());
        }
        std::vector<std::string> row{run.directory.filename().string()};
        for (const std::string& axis : axes) {
            const std::string* label = find(run.labels, axis);
            row.push_back(label == nullptr ? "-" : *label);
        }
        row.push_back(fmt::format("{:.4f}", estimate.linear_bits_per_weight()));
        row.push_back(std::to_string(estimate.file_bytes()));
        row.push_back(fmt::format("{:.0f}", estimate.memory_bytes() / 1e6));
        row.push_back(format_duration(result ? seconds_of(*result) : estimate.total_seconds()));
        row.emplace_back(result ? "finished" : "-");
        rows.push_back(std::move(row));
    }
    std::string text = markdown_table(header, rows, 1 + axes.size());
    const auto finished = std::ranges::count(rows, "finished", [](const auto& row) { return row.back(); });
    text += fmt::format("\n{}: {} runs, {} finished; {:.1f} GB of artifacts to come, ", sweep.name,
                        rows.size(), finished, bytes / 1e9);
    if (measured > 0 && estimated > 0)
        text += fmt::format("about {}, going by the finished runs\n",
                            format_duration(left * measured / estimated));
    else
        text += fmt::format("about {}\n", format_duration(left));
    return text;
}

SweepOutcome run_sweep(const SweepSpec& sweep, const std::vector<PlannedRun>& runs,
                       const std::filesystem::path& out, Backend& backend,
                       const std::vector<std::string>& jlcm_run) {
    std::filesystem::create_directories(out);
    const RunLock lock(out / ("." + sweep.name + ".lock"));
    Conductor conductor(sweep, runs, out);
    sweep.launcher.make()->launch(conductor.jobs(jlcm_run, backend), conductor);
    return conductor.outcome();
}

}  // namespace jlcm
