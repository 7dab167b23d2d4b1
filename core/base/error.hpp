#pragma once
// Errors that reach a user: what, where, why, and what to do.

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace jlcm {

/// What a program's exit code says about a failure.
enum class ErrorKind {
    input = 2,          ///< the user's files, spec or arguments are wrong
    system = 3,         ///< the machine refused: disk full, no permission, out of memory
    internal = 1,       ///< a broken invariant of ours
    interrupted = 130,  ///< SIGINT or SIGTERM, state saved
};

/// The one exception type that crosses rooms. `what()` is complete enough to be printed as it is.
class Error : public std::runtime_error {
  public:
    Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
    [[nodiscard]] ErrorKind kind() const { return kind_; }
    [[nodiscard]] int exit_code() const { return static_cast<int>(kind_); }

    /// The same error with "context: " before its message, e.g. a file or tensor name.
    [[nodiscard]] Error within(const std::string& context) const { return {kind_, context + ": " + what()}; }

  private:
    ErrorKind kind_;
};

/// Throws an input error (exit code 2).
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
    throw Error(ErrorKind::input, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws an input error unless `condition` holds.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
    if (!condition) fail(format, std::forward<Args>(args)...);
}

/// Throws an internal error unless `condition` holds: a broken invariant, not a user's mistake.
template <class... Args>
void ensure(bool condition, fmt::format_string<Args...> format, Args&&... args) {
    if (!condition)
        throw Error(ErrorKind::internal,
                    "internal error: " + fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace jlcm
