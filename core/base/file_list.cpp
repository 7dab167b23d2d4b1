#include "core/base/file_list.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace jlcm {

namespace fs = std::filesystem;

bool ends_in_one_of(std::string_view name, std::span<const std::string_view> endings) {
    const auto same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    };
    return std::ranges::any_of(endings, [&](std::string_view ending) {
        return name.size() > ending.size() &&
               std::ranges::equal(name.substr(name.size() - ending.size()), ending, same);
    });
}

std::vector<std::string> files_below(const fs::path& directory) {
    constexpr int deepest = 64;
    std::vector<std::pair<std::string, std::string>> found;  // folder, name
    try {
        const auto options = fs::directory_options::follow_directory_symlink;
        for (fs::recursive_directory_iterator at(directory, options), end; at != end; ++at) {
            require(at.depth() < deepest,
                    "{}: folders are nested deeper than {} levels: does a link lead back?",
                    at->path().string(), deepest);
            const bool hidden = at->path().filename().string().starts_with('.');
            if (hidden) at.disable_recursion_pending();
            if (hidden || !at->is_regular_file()) continue;
            const fs::path relative = at->path().lexically_relative(directory);
            found.emplace_back(relative.parent_path().string(), relative.filename().string());
        }
    } catch (const fs::filesystem_error& error) {
        fail("{}: the folder cannot be read: {}", error.path1().string(), error.code().message());
    }
    std::ranges::sort(found);
    std::vector<std::string> files;
    for (const auto& [folder, name] : found)
        files.push_back(folder.empty() ? name : fmt::format("{}/{}", folder, name));
    return files;
}

std::string sha256_of_files(const fs::path& directory, const std::vector<std::string>& files) {
    std::vector<std::string> digests(files.size());
    parallel_for(std::ssize(files), 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
            digests[i] = sha256(MappedFile(directory / files[i]).bytes());
    });
    Sha256 all;
    for (std::size_t i = 0; i < files.size(); ++i) all.update(fmt::format("{}  {}\n", digests[i], files[i]));
    return all.hex();
}

}  // namespace jlcm
