#pragma once
// What a run spent its time on.

#include "core/base/json.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace jlcm {

/// Seconds by stage, over all the processes that worked on a run, each stage's peak memory, and what it took
/// from the stage cache.
class Stages {
  public:
    /// Adds the time it lives to a stage. Of timers inside each other the innermost counts.
    class Timer {
      public:
        Timer(Stages& stages, std::string name);
        Timer(const Timer&) = delete;
        Timer& operator=(const Timer&) = delete;
        ~Timer();

      private:
        Stages& stages_;
    };

    /// The stage that is timed took an entry of so many bytes from the cache, which took `seconds` to
    /// compute.
    void found_in_cache(double bytes, double seconds);

    /// [{"name", "seconds", "peak_memory_bytes"}] in the order in which stages began; where something came
    /// from the cache also "cached": {"entries", "bytes", "seconds"}. The peak is the process's up to the
    /// stage's end.
    [[nodiscard]] nlohmann::json to_json() const;
    /// Adds what to_json() said of another process's work.
    void add(const nlohmann::json& json);
    /// What came after `before`, an earlier copy of this.
    [[nodiscard]] Stages since(const Stages& before) const;
    /// A line of what came from the cache, empty where nothing did.
    [[nodiscard]] std::string describe_cached() const;

  private:
    struct Stage {
        std::string name;
        double seconds = 0;
        std::uint64_t peak = 0;
        std::int64_t cached_entries = 0;
        double cached_bytes = 0;
        double cached_seconds = 0;
    };
    Stage& stage(const std::string& name);
    /// Gives the innermost timer's stage the time up to now.
    void charge();

    std::vector<Stage> stages_;
    std::vector<std::string> active_;  ///< the timers that live, the innermost last
    double charged_until_ = 0;
};

}  // namespace jlcm
