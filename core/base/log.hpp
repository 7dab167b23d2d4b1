#pragma once
// What the programs say while they work: lines on stderr (and in a run's log file), and one progress line.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace jlcm {

enum class LogLevel { debug, info, warning };

/// Lines below this level are dropped. Default: info.
void set_log_level(LogLevel level);

/// Every line also goes, with date and time, to the end of this file; an empty path stops that.
void set_log_file(const std::filesystem::path& path);

void log_line(LogLevel level, std::string_view line);

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}

/// Progress over `total` equal units: on a terminal one line that is redrawn (share, rate, time left, note);
/// elsewhere a plain line at most every 10 seconds. Not thread-safe: one owner.
class Progress {
  public:
    Progress(std::string title, std::int64_t total, std::string unit);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress();

    /// `done` units are done; `note` is shown behind the rate, e.g. "loss 0.0123".
    void update(std::int64_t done, std::string_view note = {});

  private:
    void draw(std::int64_t done, std::string_view note, bool final);
    std::string title_;
    std::int64_t total_;
    std::string unit_;
    double start_;
    double last_drawn_;
    std::int64_t first_ = -1;  ///< units done at the first update: a resumed stage must not boast of them
};

/// Seconds of a monotonic clock.
[[nodiscard]] double now_seconds();

/// "1 h 02 min", "3 min 20 s", "4.2 s".
[[nodiscard]] std::string format_duration(double seconds);

/// Peak resident memory of this process, bytes.
[[nodiscard]] std::uint64_t peak_memory_bytes();
/// What the process holds now.
[[nodiscard]] std::uint64_t resident_memory_bytes();

}  // namespace jlcm
