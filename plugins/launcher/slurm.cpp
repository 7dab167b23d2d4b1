#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/sweep/launcher.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace jlcm {

/// What becomes of jobs when the sweep is interrupted.
enum class OnInterrupt : std::uint8_t { leave, cancel };
inline EnumNames<OnInterrupt> enum_names(OnInterrupt /*tag*/) {
    return {{OnInterrupt::leave, "leave", "they continue; the same command finds them again"},
            {OnInterrupt::cancel, "cancel", "they save their state and stop"}};
}

namespace {

namespace fs = std::filesystem;

struct SlurmOptions {
    int processes = 0;
    int threads = 1;
    double memory_gib = 0;
    std::string partition;
    std::string time;
    std::vector<std::string> extra;
    int block_tasks = 1;
    double save_seconds = 120;
    OnInterrupt on_interrupt = OnInterrupt::leave;
    double poll_seconds = 5;

    void fields(Fields& v) {
        v("processes", processes,
          Doc{"Tasks of an array at a time (sbatch --array=...%N); 0: as SLURM likes."}, at_least(0));
        v("threads", threads, Doc{"Threads of each run: sbatch --cpus-per-task."}, Range{1, 4096});
        v("memory_gib", memory_gib,
          Doc{"Memory of a task (sbatch --mem); 0: a quarter more than the largest run is estimated to need."},
          at_least(0.0));
        v("partition", partition, Doc{"sbatch --partition. Empty: SLURM's default."});
        v("time", time,
          Doc{"Time limit of a task (sbatch --time, e.g. \"4:00:00\"). A run that needs longer saves its "
              "state, is queued again and resumes. Empty: SLURM's default."});
        v("extra", extra, Doc{"Further arguments of sbatch: [--account=physics, --qos=low]."});
        v("block_tasks", block_tasks,
          Doc{"Tasks that the blocks of one model are shared out to, if they can be compressed independently "
              "(jlcm-run --blocks): the solver sees the original's inputs, and so does block learning. A "
              "task that waits for all blocks does the rest."},
          Range{1, 1000});
        v("save_seconds", save_seconds,
          Doc{"How long before the time limit a run is asked to save its state."}, Range{1, 65535});
        v("on_interrupt", on_interrupt, Doc{"What Ctrl-C does to the jobs."});
        v("poll_seconds", poll_seconds, Doc{"How often SLURM is asked."}, Range{0.05, 3600.0});
    }
};

/// Each task runs one command of the submission's directory, which is the script's argument, as a job step:
/// SLURM sends those TERM on preemption. Before the time limit it sends USR1 to the script, which passes it
/// on as TERM. The run saves its state, and the task is queued again unless somebody has cancelled it.
constexpr const char* batch_script = R"(#!/bin/bash
task=$1/task-$SLURM_ARRAY_TASK_ID
id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
cpus=${SLURM_CPUS_PER_TASK:-1}
rm -f "$task.done"
source "$task.sh"
trap : TERM INT
trap 'scancel --signal=TERM "$id"' USR1
srun --ntasks=1 --cpus-per-task="$cpus" --output=/dev/null --error="$log" --open-mode=truncate \
    "${command[@]}" --threads "$cpus" &
step=$!
wait $step
code=$?
while kill -0 $step 2>/dev/null; do
    wait $step
    code=$?
done
if [[ $code == 130 && $(squeue --noheader --jobs="$id" --format=%T) == RUNNING ]]; then
    scontrol requeue "$id"
    exit 130
fi
echo $code >"$task.done.new" && mv "$task.done.new" "$task.done"
exit $code
)";

std::string quoted(const std::string& word) {
    std::string text = "'";
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

/// What a program printed, and its exit code.
struct Answer {
    int code = 0;
    std::string text;
};

Answer ask(const std::vector<std::string>& command) {
    std::string line;
    for (const std::string& word : command) line += quoted(word) + ' ';
    FILE* pipe = ::popen((line + "2>&1").c_str(), "re");
    if (pipe == nullptr) throw Error(ErrorKind::system, "cannot start " + command.front());
    Answer answer;
    std::array<char, 4096> buffer{};
    for (std::size_t count = 0; (count = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
        answer.text.append(buffer.data(), count);
    const int status = ::pclose(pipe);
    answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    while (!answer.text.empty() && answer.text.back() == '\n') answer.text.pop_back();
    return answer;
}

/// One task of an array.
struct Task {
    std::string id;       ///< "12_3"
    fs::path done;        ///< holds the exit code once the program has ended by itself
    std::string parts{};  ///< the job of the run's parts, which it waits for; empty: none
};

/// The states of this user's jobs by task; nothing where SLURM does not answer.
std::optional<std::map<std::string, std::string>> queue() {
    const Answer answer = ask({"squeue", "--noheader", "--array", "--me", "--format=%i %T"});
    if (answer.code != 0) return std::nullopt;
    std::map<std::string, std::string> states;
    std::istringstream lines(answer.text);
    for (std::string id, state; lines >> id >> state;) states[id] = state;
    return states;
}

class Submission {
  public:
    Submission(const SlurmOptions& options, fs::path directory)
        : options_(options), directory_(std::move(directory)) {
        write_file(directory_ / "script.sh", batch_script);
    }

    [[nodiscard]] fs::path done(std::size_t task) const {
        return directory_ / fmt::format("task-{}.done", task);
    }
    void add(const std::vector<std::string>& command, const fs::path& log, double memory) {
        std::string words;
        for (const std::string& word : command) words += quoted(word) + ' ';
        write_file(directory_ / fmt::format("task-{}.sh", count_++),
                   fmt::format("command=({})\nlog={}\n", words, quoted(fs::absolute(log).string())));
        memory_ = std::max(memory_, memory);
    }
    /// Hands it to SLURM and returns the array's job id. `after` (may be empty): a job to wait for.
    [[nodiscard]] std::string submit(const std::string& after) const {
        const std::string limit = options_.processes > 0 ? fmt::format("%{}", options_.processes) : "";
        const double mebibytes =  // 0 would be all of a node's
            options_.memory_gib > 0 ? options_.memory_gib * 1024 : 1 + 1.25 * memory_ / 1024 / 1024;
        std::vector<std::string> command{"sbatch",
                                         "--parsable",
                                         "--requeue",
                                         "--open-mode=append",
                                         "--job-name=jlcm",
                                         fmt::format("--signal=B:USR1@{:.0f}", options_.save_seconds),
                                         fmt::format("--array=0-{}{}", count_ - 1, limit),
                                         fmt::format("--cpus-per-task={}", options_.threads),
                                         fmt::format("--mem={:.0f}M", std::ceil(mebibytes)),
                                         "--output=" + (fs::absolute(directory_) / "task-%a.out").string()};
        if (!options_.partition.empty()) command.push_back("--partition=" + options_.partition);
        if (!options_.time.empty()) command.push_back("--time=" + options_.time);
        if (!after.empty()) command.push_back("--dependency=afterany:" + after);
        command.insert(command.end(), options_.extra.begin(), options_.extra.end());
        command.push_back(fs::absolute(directory_ / "script.sh").string());
        command.push_back(fs::absolute(directory_).string());
        const Answer answer = ask(command);
        require(answer.code == 0, "launcher: sbatch refuses: {}", answer.text);
        return answer.text.substr(0, answer.text.find(';'));
    }

  private:
    const SlurmOptions& options_;
    fs::path directory_;
    std::size_t count_ = 0;
    double memory_ = 0;
};

/// Where a job's task is remembered, so that a later sweep finds it.
fs::path note_of(const Job& job) {
    return job.log.parent_path() / "slurm.job";
}

class Slurm final : public Launcher {
  public:
    using Options = SlurmOptions;
    explicit Slurm(const Options& options) : options_(options) {}

    void launch(const std::vector<Job>& jobs, LaunchObserver& observer) const override {
        if (jobs.empty()) return;
        const auto known = queue();
        require(known.has_value(), "launcher: squeue does not answer; is SLURM running here?");
        std::map<std::size_t, Task> tasks = found_again(jobs, *known);
        submit(jobs, tasks);
        watch(jobs, tasks, observer);
    }

  private:
    /// Jobs that an earlier sweep left in SLURM's hands.
    static std::map<std::size_t, Task> found_again(const std::vector<Job>& jobs,
                                                   const std::map<std::string, std::string>& states) {
        std::map<std::size_t, Task> tasks;
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            std::error_code ignored;
            if (!fs::exists(note_of(jobs[i]), ignored)) continue;
            std::istringstream note(read_file(note_of(jobs[i])));
            Task task;
            std::string done;
            if (std::getline(note, task.id) && std::getline(note, done) && states.contains(task.id)) {
                std::getline(note, task.parts);
                task.done = done;
                tasks[i] = task;
            }
        }
        if (!tasks.empty()) log_info("slurm: {} runs are there from before", tasks.size());
        return tasks;
    }

    /// Hands the jobs that are not in `tasks` to SLURM and adds them.
    void submit(const std::vector<Job>& jobs, std::map<std::size_t, Task>& tasks) const {
        const fs::path base =
            jobs.front().log.parent_path().parent_path() / "slurm" /
            fmt::format("{}-{}", std::chrono::system_clock::now().time_since_epoch().count(), ::getpid());
        std::vector<std::size_t> whole;
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            if (tasks.contains(i)) continue;
            if (options_.block_tasks > 1 && jobs[i].blocks_are_separable)
                tasks[i] = submit_blocks(jobs[i], base / fmt::format("run-{}", i));
            else
                whole.push_back(i);
        }
        constexpr std::size_t largest_array =
            1000;  // SLURM's MaxArraySize, unless it is configured otherwise
        for (std::size_t first = 0; first < whole.size(); first += largest_array) {
            Submission array(options_, base / fmt::format("runs-{}", first));
            const std::size_t end = std::min(first + largest_array, whole.size());
            for (std::size_t k = first; k < end; ++k)
                array.add(jobs[whole[k]].command, jobs[whole[k]].log, jobs[whole[k]].memory_bytes);
            const std::string id = array.submit("");
            for (std::size_t k = first; k < end; ++k)
                tasks[whole[k]] =
                    remembered(jobs[whole[k]], {fmt::format("{}_{}", id, k - first), array.done(k - first)});
            log_info("slurm: job {}, {} runs", id, end - first);
        }
    }

    /// An array of parts, and the run itself behind it: it takes up what they saved.
    [[nodiscard]] Task submit_blocks(const Job& job, const fs::path& directory) const {
        Submission parts(options_, directory / "parts");
        for (int part = 1; part <= options_.block_tasks; ++part) {
            auto command = job.command;
            command.insert(command.end(), {"--blocks", fmt::format("{}/{}", part, options_.block_tasks)});
            parts.add(command, job.log.parent_path() / fmt::format("output-part-{}.txt", part),
                      job.memory_bytes);
        }
        const std::string parts_id = parts.submit("");
        Submission rest(options_, directory / "rest");
        rest.add(job.command, job.log, job.memory_bytes);
        const std::string id = rest.submit(parts_id);
        log_info("slurm: job {}, {} parts of one run, and job {} behind it", parts_id, options_.block_tasks,
                 id);
        return remembered(job, {id + "_0", rest.done(0), parts_id});
    }

    static Task remembered(const Job& job, const Task& task) {
        write_file(note_of(job),
                   fmt::format("{}\n{}\n{}\n", task.id, fs::absolute(task.done).string(), task.parts));
        return task;
    }

    /// Until all have ended, or the user interrupts and they are left alone.
    void watch(const std::vector<Job>& jobs, std::map<std::size_t, Task>& tasks,
               LaunchObserver& observer) const {
        std::map<std::size_t, bool> running;
        bool was_cancelled = false;
        double asked_at = 0;
        while (!tasks.empty()) {
            if (interrupt_requested() && !was_cancelled) {
                if (options_.on_interrupt == OnInterrupt::leave) {
                    log_info("slurm: {} runs are left to it; the same command finds them again",
                             tasks.size());
                    return;
                }
                was_cancelled = true;
                cancel(tasks);
            }
            observer.waiting();
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            if (now_seconds() - asked_at < options_.poll_seconds) continue;
            const auto states = queue();
            asked_at = now_seconds();
            if (!states) continue;  // a controller that restarts
            for (auto each = tasks.begin(); each != tasks.end();) {
                const auto& [job, task] = *each;
                const auto state = states->find(task.id);
                if (state != states->end()) {
                    if (state->second == "RUNNING" && !std::exchange(running[job], true))
                        observer.started(job);
                    ++each;
                    continue;
                }
                if (!running[job]) observer.started(job);
                std::error_code ignored;
                fs::remove(note_of(jobs[job]), ignored);
                observer.ended(job, exit_code(task));
                each = tasks.erase(each);
            }
        }
    }

    static void cancel(const std::map<std::size_t, Task>& tasks) {
        std::vector<std::string> command{"scancel"};
        for (const auto& [job, task] : tasks) {
            if (!task.parts.empty()) command.push_back(task.parts);
            command.push_back(task.id);
        }
        const Answer answer = ask(command);
        if (answer.code != 0) log_warning("slurm: scancel: {}", answer.text);
    }

    /// Of a task that has left the queue; 137 where it did not end by itself.
    static int exit_code(const Task& task) {
        constexpr int killed = 137;
        std::error_code ignored;
        if (!fs::exists(task.done, ignored)) return killed;
        int code = killed;
        std::istringstream(read_file(task.done)) >> code;
        return code;
    }

    Options options_;
};

const Registrar<Launcher, Slurm> registrar{"slurm", "Array jobs of a SLURM cluster."};

}  // namespace
}  // namespace jlcm
