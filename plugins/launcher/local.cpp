#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/sweep/launcher.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace jlcm {
namespace {

struct LocalOptions {
    int processes = 1;
    int threads = 0;
    double memory_gib = 0;

    void fields(Fields& v) {
        v("processes", processes,
          Doc{"Runs at a time. One run uses all cores well if the model is large; small models gain from "
              "several."},
          Range{1, 4096});
        v("threads", threads, Doc{"Threads of each run; 0: the cores shared out."}, Range{0, 4096});
        v("memory_gib", memory_gib,
          Doc{"Memory that all runs together may need, by their estimates; a run waits where there is none "
              "left. 0: four fifths of the machine's."},
          at_least(0.0));
    }
};

double machine_memory() {
    return static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE));
}

/// A child process. It leads a process group of its own, so that a terminal's Ctrl-C reaches this process
/// alone, which passes it on once; and it is asked to stop where this process dies.
pid_t start_process(const std::vector<std::string>& command, const std::filesystem::path& log) {
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (output < 0) throw Error(ErrorKind::system, log.string() + ": " + std::strerror(errno));
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    std::vector<std::string> words = command;
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) {
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent) ::_exit(127);
        ::dup2(nothing, STDIN_FILENO);
        ::dup2(nothing, STDOUT_FILENO);
        ::dup2(output, STDERR_FILENO);
        ::execv(arguments.front(), arguments.data());
        ::_exit(127);
    }
    ::close(output);
    ::close(nothing);
    if (child < 0)
        throw Error(ErrorKind::system, fmt::format("cannot start a process: {}", std::strerror(errno)));
    return child;
}

int exit_code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The processes under way; whatever happens here, none is left behind.
class Processes {
  public:
    Processes() = default;
    Processes(const Processes&) = delete;
    Processes& operator=(const Processes&) = delete;
    ~Processes() {
        signal(SIGTERM);
        for (const auto& [process, job] : jobs_) ::waitpid(process, nullptr, 0);
    }

    void start(std::size_t job, const Job& what, int threads) {
        auto command = what.command;
        command.insert(command.end(), {"--threads", std::to_string(threads)});
        jobs_[start_process(command, what.log)] = job;
    }
    void signal(int number) const {
        for (const auto& [process, job] : jobs_) ::kill(process, number);
    }
    /// Takes away those that have ended: their jobs and exit codes.
    [[nodiscard]] std::vector<std::pair<std::size_t, int>> ended() {
        std::vector<std::pair<std::size_t, int>> found;
        for (auto each = jobs_.begin(); each != jobs_.end();) {
            int status = 0;
            if (::waitpid(each->first, &status, WNOHANG) == each->first) {
                found.emplace_back(each->second, exit_code_of(status));
                each = jobs_.erase(each);
            } else {
                ++each;
            }
        }
        return found;
    }
    [[nodiscard]] std::size_t count() const { return jobs_.size(); }

  private:
    std::map<pid_t, std::size_t> jobs_;
};

class Local final : public Launcher {
  public:
    using Options = LocalOptions;
    explicit Local(const Options& options) : options_(options) {}

    void launch(const std::vector<Job>& jobs, LaunchObserver& observer) const override {
        const double memory =
            options_.memory_gib > 0 ? options_.memory_gib * 1024 * 1024 * 1024 : 0.8 * machine_memory();
        for (const Job& job : jobs)
            require(job.memory_bytes <= memory,
                    "launcher: a run needs about {:.1f} GB of memory, of {:.1f} GB", job.memory_bytes / 1e9,
                    memory / 1e9);
        const int threads =
            options_.threads > 0 ? options_.threads : std::max(1, thread_count() / options_.processes);
        Processes processes;
        double used = 0;
        std::size_t next = 0;
        bool stopping = false;
        while (next < jobs.size() || processes.count() > 0) {
            if (interrupt_requested() && !stopping) {
                stopping = true;
                next = jobs.size();
                processes.signal(SIGTERM);
            }
            while (next < jobs.size() && processes.count() < static_cast<std::size_t>(options_.processes) &&
                   used + jobs[next].memory_bytes <= memory) {
                used += jobs[next].memory_bytes;
                processes.start(next, jobs[next], threads);
                observer.started(next++);
            }
            for (const auto& [job, code] : processes.ended()) {
                used -= jobs[job].memory_bytes;
                observer.ended(job, code);
            }
            observer.waiting();
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }

  private:
    Options options_;
};

const Registrar<Launcher, Local> registrar{"local", "Processes on this machine."};

}  // namespace
}  // namespace jlcm
