#pragma once
// Where named texts and images lie.

#include <filesystem>
#include <string>
#include <vector>

namespace jlcm {

using Directories = std::vector<std::filesystem::path>;

/// Where named texts are looked for, in order: `given` (the spec's data_path), JLCM_DATA (colon-separated),
/// the cache directory's data/.
[[nodiscard]] Directories data_directories(const std::vector<std::string>& given = {});

/// The file in the first of `directories` that holds it, directly or under text/; empty where none does.
[[nodiscard]] std::filesystem::path find_data_file(const std::string& file, const Directories& directories);

/// A file or folder that a spec names by a path: as it stands from the current directory, else where named
/// datasets are looked for. As it was given where it is nowhere.
[[nodiscard]] std::filesystem::path place_data(const std::string& path, const Directories& directories);

}  // namespace jlcm
