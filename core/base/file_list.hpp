#pragma once
// The files of a folder, in an order that depends on nothing but their names.

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// Whether `name` ends in one of `endings`, of which ASCII letters count in either case.
[[nodiscard]] bool ends_in_one_of(std::string_view name, std::span<const std::string_view> endings);

/// The regular files below `directory`, as paths relative to it: sorted by their folder and in it by their
/// name, byte by byte. What begins with a dot is passed over. Links to folders are followed; an input error
/// where they lead in a circle, or where a folder cannot be read.
[[nodiscard]] std::vector<std::string> files_below(const std::filesystem::path& directory);

/// SHA-256 of the lines "<sha256>  <file name>\n" of `files` in `directory`, in their order: what sha256sum
/// prints of them.
[[nodiscard]] std::string sha256_of_files(const std::filesystem::path& directory,
                                          const std::vector<std::string>& files);

}  // namespace jlcm
