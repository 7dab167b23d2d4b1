#include "core/base/log.hpp"

#include "core/base/error.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <mutex>
#include <string_view>

#include <fmt/chrono.h>
#include <unistd.h>

namespace jlcm {
namespace {

struct Sink {
    std::mutex mutex;
    LogLevel level = LogLevel::info;
    std::ofstream file;
    bool terminal = ::isatty(STDERR_FILENO) == 1;
    bool line_open = false;  // a progress line stands on the terminal and has to be cleared first
};

Sink& sink() {
    static Sink instance;
    return instance;
}

void clear_progress_line(Sink& out) {
    if (out.line_open) std::fputs("\r\033[K", stderr);
    out.line_open = false;
}

}  // namespace

void set_log_level(LogLevel level) {
    sink().level = level;
}

void set_log_file(const std::filesystem::path& path) {
    Sink& out = sink();
    const std::lock_guard lock(out.mutex);
    out.file.close();
    if (path.empty()) return;
    out.file.open(path, std::ios::app);
    if (!out.file) throw Error(ErrorKind::system, path.string() + ": cannot open the log file for writing");
}

void log_line(LogLevel level, std::string_view line) {
    Sink& out = sink();
    const std::lock_guard lock(out.mutex);
    if (level < out.level) return;
    const std::string_view prefix = level == LogLevel::warning ? "warning: " : "";
    clear_progress_line(out);
    fmt::print(stderr, "{}{}\n", prefix, line);
    if (out.file.is_open()) {
        out.file << fmt::format("{:%Y-%m-%d %H:%M:%S} {}{}\n", fmt::localtime(std::time(nullptr)), prefix,
                                line)
                 << std::flush;
    }
}

double now_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string format_duration(double seconds) {
    if (seconds < 10) return fmt::format("{:.1f} s", seconds);
    const auto whole = static_cast<std::int64_t>(std::llround(seconds));
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::uint64_t peak_memory_bytes() {
    // Not getrusage: its ru_maxrss outlives exec, so that a small program has the peak of what started it.
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        constexpr std::string_view field = "VmHWM:";
        if (line.starts_with(field)) return std::stoull(line.substr(field.size())) * 1024;
    }
    return 0;
}

std::uint64_t resident_memory_bytes() {
    std::ifstream statm("/proc/self/statm");
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    statm >> size >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Progress::Progress(std::string title, std::int64_t total, std::string unit)
    : title_(std::move(title)),
      total_(total),
      unit_(std::move(unit)),
      start_(now_seconds()),
      last_drawn_(start_) {}

Progress::~Progress() {
    Sink& out = sink();
    const std::lock_guard lock(out.mutex);
    clear_progress_line(out);
}

void Progress::update(std::int64_t done, std::string_view note) {
    if (first_ < 0) first_ = done > 0 ? done - 1 : 0;
    const double now = now_seconds();
    const double pause = sink().terminal ? 0.1 : 10.0;
    if (now - last_drawn_ < pause) return;
    last_drawn_ = now;
    draw(done, note, done >= total_);
}

void Progress::draw(std::int64_t done, std::string_view note, bool final) {
    Sink& out = sink();
    const std::lock_guard lock(out.mutex);
    if (out.level > LogLevel::info) return;
    const double elapsed = now_seconds() - start_;
    const double rate = elapsed > 0 ? static_cast<double>(done - first_) / elapsed : 0.0;
    const double share = total_ > 0 ? 100.0 * static_cast<double>(done) / static_cast<double>(total_) : 100.0;
    std::string line =
        fmt::format("{}: {}/{} {} ({:.0f} %), {:.3g} {}/s", title_, done, total_, unit_, share, rate, unit_);
    if (!final && rate > 0)
        line += ", " + format_duration(static_cast<double>(total_ - done) / rate) + " left";
    if (!note.empty()) line += fmt::format(", {}", note);
    if (out.terminal) {
        fmt::print(stderr, "\r\033[K{}", line);
        std::fflush(stderr);
        out.line_open = true;
    } else {
        fmt::print(stderr, "{}\n", line);
    }
}

}  // namespace jlcm
