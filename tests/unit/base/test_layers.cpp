// The rooms of core/ stand in one order, and an include never points to the right in it; core/ knows neither
// the plugins nor the programs.

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>
#include <fmt/format.h>

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 21> rooms = {
    "base",  "tensor",   "spec",     "plugin", "backend", "graph",    "formats",  "text", "vision", "data",
    "model", "codebook", "generate", "c_api", "learn",  "store",   "compress", "estimate", "run",  "report", "sweep"};

std::ptrdiff_t rank_of(std::string_view room) {
    return std::find(rooms.begin(), rooms.end(), room) - rooms.begin();
}

bool is_source(const fs::path& path) {
    return path.extension() == ".hpp" || path.extension() == ".cpp";
}

/// The paths that a file includes with quotes, as written.
std::vector<std::string> included(const fs::path& file) {
    static const std::regex pattern(R"re(^\s*#\s*include\s*"([^"]+)")re");
    std::vector<std::string> paths;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
        std::smatch match;
        if (std::regex_search(line, match, pattern)) paths.push_back(match[1]);
    }
    return paths;
}

/// What an include of `target` in a file of the room `room` of core/ breaks; empty where it is in order.
std::string breach(std::string_view room, const std::string& target) {
    const fs::path path(target);
    const std::vector<std::string> parts(path.begin(), path.end());
    if (parts.size() < 3 || parts[0] != "core")
        return "core includes only core, by its path from the repository's root";
    if (rank_of(parts[1]) == static_cast<std::ptrdiff_t>(rooms.size())) return "an unknown room";
    if (rank_of(parts[1]) > rank_of(room)) return "a higher room";
    return "";
}

}  // namespace

TEST_CASE("lower rooms of core never include higher ones") {
    const fs::path core = fs::path(JLCM_SOURCE_DIR) / "core";
    int checked = 0;
    for (const auto& entry : fs::recursive_directory_iterator(core)) {
        if (!entry.is_regular_file() || !is_source(entry.path())) continue;
        const fs::path inside = fs::relative(entry.path(), core);
        const std::string room = *inside.begin();
        INFO(fmt::format("core/{}", inside.string()));
        REQUIRE(rank_of(room) < static_cast<std::ptrdiff_t>(rooms.size()));
        for (const auto& target : included(entry.path())) {
            INFO("includes \"" << target << '"');
            CHECK(breach(room, target).empty());
            CHECK(fs::is_regular_file(fs::path(JLCM_SOURCE_DIR) / target));
        }
        ++checked;
    }
    CHECK(checked > 10);
}

TEST_CASE("plugins include core and each other, never programs") {
    const fs::path plugins = fs::path(JLCM_SOURCE_DIR) / "plugins";
    for (const auto& entry : fs::recursive_directory_iterator(plugins)) {
        if (!entry.is_regular_file() || !is_source(entry.path())) continue;
        for (const auto& target : included(entry.path())) {
            INFO(entry.path() << " includes \"" << target << '"');
            CHECK((target.starts_with("core/") || target.starts_with("plugins/")));
        }
    }
}

TEST_CASE("the check of the rooms sees a breach") {
    CHECK(breach("tensor", "core/base/error.hpp").empty());
    CHECK(breach("tensor", "core/tensor/tensor.hpp").empty());
    CHECK(breach("tensor", "core/graph/graph.hpp") == "a higher room");
    CHECK(breach("base", "core/attic/old.hpp") == "an unknown room");
    CHECK_FALSE(breach("report", "plugins/solver/lnq.hpp").empty());
    CHECK_FALSE(breach("base", "error.hpp").empty());
}
