#pragma once
// Plugin kind "launcher": where the runs of a sweep are executed.

#include "core/plugin/registry.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace jlcm {

/// A program to run.
struct Job {
    std::vector<std::string> command;  ///< the program's path and its arguments; takes --threads N
    std::filesystem::path log;         ///< receives its standard error
    double memory_bytes = 0;           ///< about what it needs
    /// Whether the program also takes --blocks I/N, in any order and all at a time, before the command
    /// itself.
    bool blocks_are_separable = false;
};

/// Told of what happens, from one thread.
class LaunchObserver {
  public:
    LaunchObserver() = default;
    LaunchObserver(const LaunchObserver&) = delete;
    LaunchObserver& operator=(const LaunchObserver&) = delete;
    virtual ~LaunchObserver() = default;

    virtual void started(std::size_t job) = 0;
    /// `exit_code`: the program's; 128 and the signal's number where one ended it.
    virtual void ended(std::size_t job, int exit_code) = 0;
    /// Called several times a second.
    virtual void waiting() = 0;
};

class Launcher {
  public:
    Launcher() = default;
    Launcher(const Launcher&) = delete;
    Launcher& operator=(const Launcher&) = delete;
    virtual ~Launcher() = default;

    /// Runs all jobs, in order as far as there is room, and returns when all have ended. A job that fails
    /// does not stop the others. After an interrupt no job is started any more, and those that run are asked
    /// to save their state and stop, unless the options say that they are left alone. Input error: a job
    /// needs more than the options allow.
    virtual void launch(const std::vector<Job>& jobs, LaunchObserver& observer) const = 0;
};

template <>
struct KindOf<Launcher> {
    static constexpr std::string_view name = "launcher";
    static constexpr std::string_view doc = "Where the runs of a sweep are executed.";
};

}  // namespace jlcm
