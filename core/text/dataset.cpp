#include "core/text/dataset.hpp"

#include "core/base/cache.hpp"

#include <cstdlib>

namespace jlcm {

Directories data_directories(const std::vector<std::string>& given) {
    Directories directories(given.begin(), given.end());
    if (const char* named = std::getenv("JLCM_DATA")) {
        std::string_view rest = named;
        while (!rest.empty()) {
            const std::string_view one = rest.substr(0, rest.find(':'));
            if (!one.empty()) directories.emplace_back(one);
            rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        }
    }
    directories.push_back(cache_directory() / "data");
    return directories;
}

std::filesystem::path find_data_file(const std::string& file, const Directories& directories) {
    std::error_code ignored;
    for (const auto& directory : directories)
        for (const auto& path : {directory / file, directory / "text" / file})
            if (std::filesystem::is_regular_file(path, ignored)) return path;
    return {};
}

namespace {

/// A path as the map that it is short for; everything else as it is.
Config expanded(const Config& given) {
    if (given.kind != Config::Kind::scalar) return given;
    const bool is_path = given.text.find('/') != std::string::npos || given.text.ends_with(".txt");
    if (!is_path) return given;
    Config map = Config::map();
    map.origin = given.origin;
    for (const auto& [key, value] :
         {std::pair("type", std::string("text_file")), std::pair("path", given.text)}) {
        Config::Entry& entry = map.entry(key);
        entry.origin = given.origin;
        entry.value = Config::string(value);
        entry.value.origin = given.origin;
    }
    return map;
}

}  // namespace

void DatasetChoice::decode(const Config& given, Problems& problems) {
    Choice::decode(expanded(given), problems);
}

DatasetChoice DatasetChoice::parse(std::string_view yaml) {
    Problems problems;
    DatasetChoice choice;
    if (const auto config = parse_config(yaml, {std::string(yaml), 0, 0}, problems))
        choice.decode(*config, problems);
    problems.throw_if_any();
    return choice;
}

void DatasetSlot::decode(const Config& given, const Range& /*range*/, Problems& problems) {
    dataset_.decode(given, problems);
}

}  // namespace jlcm
