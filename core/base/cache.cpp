#include "core/base/cache.hpp"

#include "core/base/error.hpp"

#include <cstdlib>
#include <optional>
#include <string>

namespace jlcm {

namespace {

std::optional<std::filesystem::path> variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
}

}  // namespace

std::filesystem::path cache_directory() {
    if (const auto own = variable("JLCM_CACHE")) return *own;
    if (const auto xdg = variable("XDG_CACHE_HOME")) return *xdg / "jlcm";
    const auto home = variable("HOME");
    if (!home) fail("there is no cache directory: set JLCM_CACHE");
    return *home / ".cache/jlcm";
}

}  // namespace jlcm
