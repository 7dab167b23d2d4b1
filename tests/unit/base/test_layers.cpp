// The rooms of core/ stand in one order, and an include never points to the right in it; core/ knows neither
// the plugins nor the programs. Programs alone name the device that they compute on.

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>
#include <fmt/format.h>

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 21> rooms = {
    "base",  "tensor", "spec",     "plugin",   "backend",  "graph",    "formats",
    "text",  "vision", "data",     "model",    "codebook", "generate", "c_api",
    "learn", "store",  "compress", "estimate", "run",      "report",   "sweep"};

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

/// The devices that a file names (core/backend/default_backend.hpp), comments left aside.
std::vector<std::string> devices_named(std::istream& stream) {
    static const std::regex pattern(R"re(\b(cpu_backend|default_backend)\()re");
    std::vector<std::string> names;
    std::smatch match;
    for (std::string line; std::getline(stream, line);) {
        line = line.substr(0, line.find("//"));
        if (std::regex_search(line, match, pattern)) names.push_back(match[1]);
    }
    return names;
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

/// The lines of core/runtime.txt, which lists the files of libjlcm_runtime by the starts of their paths.
std::vector<std::string> runtime_lines() {
    std::vector<std::string> lines;
    std::ifstream stream(fs::path(JLCM_SOURCE_DIR) / "core/runtime.txt");
    for (std::string line; std::getline(stream, line);)
        if (!line.empty() && line.front() != '#') lines.push_back(line);
    return lines;
}

/// Whether `file`, a path below core/, belongs to libjlcm_runtime: the last line that names it decides.
bool is_of_runtime(const std::vector<std::string>& lines, std::string_view file) {
    bool is_listed = false;
    for (const std::string_view line : lines)
        if (file.starts_with(line))
            is_listed = true;
        else if (line.front() == '-' && file.starts_with(line.substr(1)))
            is_listed = false;
    return is_listed;
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

TEST_CASE("libjlcm_runtime includes nothing of core that is not its own") {
    const fs::path core = fs::path(JLCM_SOURCE_DIR) / "core";
    const auto lines = runtime_lines();
    int checked = 0;
    std::vector<bool> is_used(lines.size(), false);
    for (const auto& entry : fs::recursive_directory_iterator(core)) {
        if (!entry.is_regular_file()) continue;
        const std::string inside = fs::relative(entry.path(), core).string();
        for (std::size_t i = 0; i < lines.size(); ++i)
            if (inside.starts_with(lines[i].substr(lines[i].front() == '-' ? 1 : 0))) is_used[i] = true;
        if (!is_of_runtime(lines, inside)) continue;
        for (const auto& target : included(entry.path())) {
            INFO("core/" << inside << " includes \"" << target << '"');
            CHECK(is_of_runtime(lines, target.substr(std::string_view("core/").size())));
        }
        ++checked;
    }
    CHECK(checked > 100);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        INFO("the line \"" << lines[i] << "\" of core/runtime.txt");
        CHECK(is_used[i]);
    }
    for (const char* room : {"spec/", "plugin/", "learn/", "store/", "compress/", "run/"}) {
        INFO(room);
        CHECK(std::ranges::count(lines, room) == 0);
    }
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

TEST_CASE("programs name the device, core and plugins get it as an argument") {
    const fs::path root = JLCM_SOURCE_DIR;
    int programs = 0;
    for (const char* folder : {"core", "plugins", "apps"}) {
        for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
            if (!entry.is_regular_file() || !is_source(entry.path())) continue;
            const std::string file = fs::relative(entry.path(), root).string();
            if (file.starts_with("core/backend/")) continue;
            std::ifstream stream(entry.path());
            const auto names = devices_named(stream);
            INFO(file);
            CHECK(std::count(names.begin(), names.end(), "cpu_backend") == 0);
            const auto count = std::count(names.begin(), names.end(), "default_backend");
            // What opens a file for no run: the default of ReadOptions.
            if (!file.starts_with("apps/"))
                CHECK(count ==
                      (file == "core/formats/checkpoint.hpp" || file == "core/c_api/jlcm.cpp" ? 1 : 0));
            programs += file.starts_with("apps/") && count > 0 ? 1 : 0;
        }
    }
    CHECK(programs == 4);
}

TEST_CASE("the check of the rooms sees a breach") {
    CHECK(breach("tensor", "core/base/error.hpp").empty());
    CHECK(breach("tensor", "core/tensor/tensor.hpp").empty());
    CHECK(breach("tensor", "core/graph/graph.hpp") == "a higher room");
    CHECK(breach("base", "core/attic/old.hpp") == "an unknown room");
    CHECK_FALSE(breach("report", "plugins/solver/lnq.hpp").empty());
    CHECK_FALSE(breach("base", "error.hpp").empty());
    CHECK(is_of_runtime({"graph/", "-graph/output"}, "graph/graph.hpp"));
    CHECK_FALSE(is_of_runtime({"graph/", "-graph/output"}, "graph/output.hpp"));
    CHECK_FALSE(is_of_runtime({"graph/"}, "spec/fields.hpp"));
    std::istringstream source("// cpu_backend()\nuse(default_backend());\n");
    CHECK(devices_named(source) == std::vector<std::string>{"default_backend"});
}
