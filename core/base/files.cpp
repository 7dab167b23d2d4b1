#include "core/base/files.hpp"

#include "core/base/error.hpp"
#include "core/base/unchanged_files.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace jlcm {
namespace {

[[noreturn]] void fail_system(const std::string& what, const std::filesystem::path& path) {
    const int code = errno;
    const ErrorKind kind =
        code == ENOENT || code == EISDIR || code == ENOTDIR ? ErrorKind::input : ErrorKind::system;
    std::string advice;
    if (code == ENOSPC || code == EDQUOT) advice = "; free some space or choose another directory";
    throw Error(kind, fmt::format("{}: cannot {}: {}{}", path.string(), what, std::strerror(code), advice));
}

/// All mappings there are.
class Mappings {
  public:
    void add(const std::byte* data, const struct stat& status, std::string path) {
        const std::scoped_lock lock(mutex_);
        all_[data] = {static_cast<std::size_t>(status.st_size), status, std::move(path)};
    }
    void remove(const std::byte* data) {
        const std::scoped_lock lock(mutex_);
        all_.erase(data);
    }
    void release_pages() {
        const std::scoped_lock lock(mutex_);
        for (const auto& [data, mapping] : all_)
            ::madvise(const_cast<std::byte*>(data), mapping.size,
                      MADV_DONTNEED);  // NOLINT: takes a mutable pointer
    }
    /// Of files that were written to since.
    std::set<std::string> changed() {
        const std::scoped_lock lock(mutex_);
        std::set<std::string> paths;
        for (const auto& [data, mapping] : all_)
            if (mapping.has_changed()) paths.insert(mapping.path);
        return paths;
    }
    /// The path of the file that is mapped there; null if there is none, or if it cannot be told now. For a
    /// signal handler.
    const char* path_at(const void* address) {
        if (!mutex_.try_lock()) return nullptr;
        const std::lock_guard lock(mutex_, std::adopt_lock);
        for (const auto& [data, mapping] : all_)
            if (address >= data && address < data + mapping.size) return mapping.path.c_str();
        return nullptr;
    }

  private:
    struct Mapping {
        std::size_t size = 0;
        struct stat status {};  ///< when it was mapped
        std::string path;

        [[nodiscard]] bool has_changed() const {
            struct stat now {};
            const bool is_same_file =
                ::stat(path.c_str(), &now) == 0 && now.st_dev == status.st_dev && now.st_ino == status.st_ino;
            return is_same_file &&
                   (now.st_size != status.st_size || now.st_mtim.tv_sec != status.st_mtim.tv_sec ||
                    now.st_mtim.tv_nsec != status.st_mtim.tv_nsec);
        }
    };
    std::mutex mutex_;
    std::map<const std::byte*, Mapping> all_;
};

Mappings& mappings() {
    static Mappings instance;
    return instance;
}

}  // namespace

namespace {

/// write(), for a signal handler.
void say(const char* text) {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
}

void end_at_bus_error(int /*signal*/, siginfo_t* where, void* /*context*/) {
    const char* path = mappings().path_at(where->si_addr);
    say("jlcm: ");
    say(path != nullptr ? path : "a mapped file");
    say(": the file was cut, or its disk failed, while it was being read; get it again, and do not write to files in use\n");
    ::_exit(static_cast<int>(ErrorKind::system));
}

}  // namespace

void catch_bus_errors() {
    struct sigaction action {};
    action.sa_sigaction = end_at_bus_error;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &action, nullptr);
}

void require_unchanged_files() {
    const std::set<std::string> changed = mappings().changed();
    if (changed.empty()) return;
    throw Error(
        ErrorKind::system,
        fmt::format(
            "{}: written to while in use, so what was made of it is worth nothing; do this again, and replace files "
            "in use by renaming others",
            fmt::join(changed, ", ")));
}

void release_mapped_pages() {
    mappings().release_pages();
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail_system("open", path);
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        ::close(descriptor);
        fail("{}: not a regular file", path.string());
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ > 0) {
        void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (mapping == MAP_FAILED) {
            const int code = errno;
            ::close(descriptor);
            errno = code;
            fail_system("map", path);
        }
        data_ = static_cast<const std::byte*>(mapping);
        mappings().add(data_, status, path_.string());
    }
    ::close(descriptor);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ == nullptr) return;
    mappings().remove(data_);
    ::munmap(const_cast<std::byte*>(data_), size_);  // NOLINT: munmap takes a mutable pointer
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    temporary_ = path_;
    temporary_ += fmt::format(".tmp.{}", ::getpid());
    if (path_.has_parent_path()) {
        std::error_code error;
        std::filesystem::create_directories(path_.parent_path(), error);
        if (error) {
            errno = error.value();
            fail_system("create the directory", path_.parent_path());
        }
    }
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail_system("create", temporary_);
}

AtomicFile::~AtomicFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
        if (written < 0) {
            if (errno == EINTR) continue;
            fail_system("write", path_);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        position_ += static_cast<std::uint64_t>(written);
    }
}

void AtomicFile::commit() {
    if (::fsync(descriptor_) != 0) fail_system("write", path_);
    ::close(std::exchange(descriptor_, -1));
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
        const int code = errno;
        ::unlink(temporary_.c_str());
        errno = code;
        fail_system("rename into place", path_);
    }
}

std::filesystem::path without_last_slash(const std::filesystem::path& path) {
    return path.has_filename() ? path : path.parent_path();
}

std::string read_file(const std::filesystem::path& path) {
    const MappedFile file(path);
    const auto bytes = file.bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // NOLINT: bytes to chars
}

void write_file(const std::filesystem::path& path, std::string_view text) {
    AtomicFile file(path);
    file.write(text);
    file.commit();
}

}  // namespace jlcm
