#pragma once
// Files that may be compressed with gzip (zlib).

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace jlcm {

/// What `bytes` hold when unpacked. An input error where they are no gzip data, damaged, cut short, or more
/// than `limit` bytes come out.
[[nodiscard]] std::vector<std::byte> gunzip(std::span<const std::byte> bytes, std::size_t limit);

/// The file's bytes, unpacked where they begin as gzip data do.
[[nodiscard]] std::vector<std::byte> read_maybe_gzip(const std::filesystem::path& path, std::size_t limit);

/// The same as a text, of 16 GiB at most.
[[nodiscard]] std::string read_text(const std::filesystem::path& path);

}  // namespace jlcm
