#pragma once
// What the programs' main() have in common.

#include <functional>
#include <string_view>

namespace jlcm {

/// Runs `body` and returns its exit code. An exception becomes "PROGRAM: message" on stderr and the exit code
/// of its kind (ErrorKind, or exit_not_finite of Diverged).
[[nodiscard]] int run_program(std::string_view program, const std::function<int()>& body);

}  // namespace jlcm
