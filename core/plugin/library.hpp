#pragma once
// Plugins that were built apart from the programs, as shared objects.

#include "core/spec/config.hpp"
#include "core/spec/problems.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// What a plugin must have been built with to fit: the version, a hash of all interfaces (core's headers),
/// the compiler's ABI and sanitizers. Example: "0.1.0, interfaces 5c1f0a9e3b7d, g++ 12, C++ ABI 1017".
[[nodiscard]] std::string_view build_id();

/// Loads the shared object and registers its plugins; one that is loaded already is left alone. The library
/// stays until the program ends. Input errors: no such file, not a plugin, built for another build id (both
/// are named; no code of the library has run then), a symbol missing, a name that is taken.
void load_plugin_library(const std::filesystem::path& path);

/// The shared objects that are loaded, in order of their paths.
[[nodiscard]] std::vector<std::filesystem::path> loaded_plugin_libraries();

/// Loads what a spec's `plugins:` names: a path or a list of paths, each a shared object or a directory of
/// them (*.so, by name), relative to the file that has the key, or to the working directory where no file
/// has it. The paths in `spec` become absolute, so that it names the same libraries wherever it is written.
/// Called before the spec is decoded. Nothing is ever loaded from anywhere else.
void load_plugins(Config& spec, Problems& problems);

/// The SHA-256 of every library that a spec's `plugins:` names, in the order of load_plugins.
[[nodiscard]] std::vector<std::string> plugin_hashes(const Config& spec);

}  // namespace jlcm
