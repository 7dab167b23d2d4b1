#pragma once
// Files: memory-mapped reading, and writing that never leaves half a file under its final name.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace jlcm {

/// A read-only mapping of a whole file. Movable; the view is valid as long as the object lives.
class MappedFile {
  public:
    /// Throws an input error that names the path where it is missing, a directory or unreadable.
    explicit MappedFile(const std::filesystem::path& path);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// From now on a page of a mapped file that cannot be read, since the file was cut meanwhile, ends the program
/// with a system error that names the file.
void catch_bus_errors();

/// Gives the memory that pages of mapped files take back to the system; they are read again when they are
/// touched. For whoever walks through files that are larger than memory.
void release_mapped_pages();

/// Writes to "<path>.tmp.<pid>" and renames on commit(); without a commit the temporary file is removed.
/// Parent directories are made. Throws a system error with the reason (disk full, no permission).
class AtomicFile {
  public:
    explicit AtomicFile(std::filesystem::path path);
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;
    ~AtomicFile();

    void write(std::span<const std::byte> bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
    [[nodiscard]] std::uint64_t position() const { return position_; }
    /// Flushes to the disk (fsync) and renames.
    void commit();

  private:
    std::filesystem::path path_;
    std::filesystem::path temporary_;
    int descriptor_ = -1;
    std::uint64_t position_ = 0;
};

/// The path without a slash at its end, so that filename() is a folder's name.
[[nodiscard]] std::filesystem::path without_last_slash(const std::filesystem::path& path);

/// A whole file as a string; an input error names the path where it can't be read.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

/// `text` under `path`, through AtomicFile.
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace jlcm
