#include "core/base/data_directories.hpp"

#include "core/base/cache.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

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

namespace {

template <class Fits>
std::filesystem::path find_place(const std::string& name, const Directories& directories, Fits fits) {
    for (const auto& directory : directories)
        for (const auto& path : {directory / name, directory / "text" / name})
            if (fits(path)) return path;
    return {};
}

}  // namespace

std::filesystem::path find_data_file(const std::string& file, const Directories& directories) {
    std::error_code ignored;
    return find_place(file, directories, [&](const std::filesystem::path& path) {
        return std::filesystem::is_regular_file(path, ignored);
    });
}

std::filesystem::path place_data(const std::string& path, const Directories& directories) {
    std::filesystem::path here = path;
    std::error_code ignored;
    const auto exists = [&](const std::filesystem::path& place) {
        return std::filesystem::exists(place, ignored);
    };
    if (here.is_absolute() || exists(here)) return here;
    const auto found = find_place(path, directories, exists);
    return found.empty() ? here : found;
}

}  // namespace jlcm
