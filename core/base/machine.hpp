#pragma once
// What the machine and the program are made of, as far as it can change the bytes of a result.

#include <string>
#include <vector>

namespace jlcm {

/// A field of the first processor in /proc/cpuinfo ("model name"), "unknown" where there is none.
[[nodiscard]] std::string cpu_field(const std::string& name);

/// The program and the libraries that it was linked with, each by its linker's build id, which is a hash of
/// its content, or by size and time of its file where it has none. Sorted.
[[nodiscard]] const std::vector<std::string>& program_code();

}  // namespace jlcm
