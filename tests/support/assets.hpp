#pragma once
// Where tests find real models and texts, and how they skip where there are none.

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>

namespace jlcm::test {

/// The directory JLCM_ASSETS names, or ../shared/assets beside the source tree; nothing where neither exists.
inline std::optional<std::filesystem::path> assets() {
    const char* named = std::getenv("JLCM_ASSETS");
    const std::filesystem::path path = named != nullptr
                                           ? std::filesystem::path(named)
                                           : std::filesystem::path(JLCM_SOURCE_DIR) / "../shared/assets";
    if (!std::filesystem::is_directory(path)) return std::nullopt;
    return path;
}

/// The directory of JLCM_CACHE, or $XDG_CACHE_HOME/jlcm, or ~/.cache/jlcm.
inline std::filesystem::path cache() {
    if (const char* named = std::getenv("JLCM_CACHE")) return named;
    if (const char* xdg = std::getenv("XDG_CACHE_HOME")) return std::filesystem::path(xdg) / "jlcm";
    const char* home = std::getenv("HOME");
    return std::filesystem::path(home != nullptr ? home : "/tmp") / ".cache/jlcm";
}

/// The default model where scripts/fetch_model.sh has put it.
inline std::optional<std::filesystem::path> default_model() {
    const auto path = cache() / "models/smollm2-135m-instruct.gguf";
    if (!std::filesystem::is_regular_file(path)) return std::nullopt;
    return path;
}

inline void skip(const std::string& reason) {
    std::cout << "SKIPPED: " << reason << std::endl;
}

}  // namespace jlcm::test

/// Ends the test case as skipped (ctest counts it so) unless `found` holds a value.
#define JLCM_SKIP_UNLESS(found, reason) \
    do {                                \
        if (!(found)) {                 \
            ::jlcm::test::skip(reason); \
            return;                     \
        }                               \
    } while (false)
