#pragma once
// What a run spent its time on.

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace jlcm {

/// Seconds by stage, over all the processes that worked on a run, and each stage's peak memory.
class Stages {
  public:
    /// Adds the time it lives to a stage.
    class Timer {
      public:
        Timer(Stages& stages, std::string name);
        Timer(const Timer&) = delete;
        Timer& operator=(const Timer&) = delete;
        ~Timer();

      private:
        Stages& stages_;
        std::string name_;
        double start_;
    };

    /// [{"name", "seconds", "peak_memory_bytes"}] in the order in which stages began. The peak is the
    /// process's up to the stage's end.
    [[nodiscard]] nlohmann::json to_json() const;
    /// Takes up where a former process stopped: what to_json() said.
    void restore(const nlohmann::json& json);

  private:
    struct Stage {
        std::string name;
        double seconds = 0;
        std::uint64_t peak = 0;
    };
    Stage& stage(const std::string& name);
    std::vector<Stage> stages_;
};

}  // namespace jlcm
