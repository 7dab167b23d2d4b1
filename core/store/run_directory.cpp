#include "core/store/run_directory.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <string_view>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace jlcm {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view separator = "  ";

}  // namespace

Metrics::Metrics(const std::filesystem::path& path) : path_(path), file_(path, std::ios::trunc) {
    if (!file_) throw Error(ErrorKind::system, path_.string() + ": cannot be opened for writing");
}

void Metrics::append(const std::string& lines) {
    text_ += lines;
    file_ << lines;
    if (!file_.flush()) throw Error(ErrorKind::system, path_.string() + ": cannot be written to");
}

RunLock::RunLock(const std::filesystem::path& path, Kind kind)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0) throw Error(ErrorKind::system, path.string() + ": " + std::strerror(errno));
    if (::flock(descriptor_, (kind == Kind::alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) return;
    ::close(descriptor_);
    fail("{}: another process works on this run; wait until it is done", path.parent_path().string());
}

RunLock::~RunLock() {
    ::close(descriptor_);
}

std::filesystem::path RunFiles::block(std::size_t index) const {
    return checkpoints() / fmt::format("block-{:03}", index);
}

std::filesystem::path RunFiles::part_metrics(std::size_t first) const {
    return checkpoints() / fmt::format("metrics-{:03}.jsonl", first);
}

std::filesystem::path RunFiles::learning(std::size_t index) const {
    return checkpoints() / fmt::format("learning-{:03}", index);
}

std::filesystem::path RunFiles::positions(std::size_t index) const {
    return checkpoints() / fmt::format("positions-{:03}", index);
}

void remove_unfinished_files(const RunFiles& files) {
    for (const auto& directory : {files.directory, files.checkpoints()}) {
        if (!fs::is_directory(directory)) continue;
        std::vector<fs::path> unfinished;
        for (const auto& entry : fs::directory_iterator(directory))
            if (entry.path().filename().string().find(".tmp.") != std::string::npos)
                unfinished.push_back(entry.path());
        for (const fs::path& path : unfinished) fs::remove(path);
    }
}

void remove_checkpoints(const RunFiles& files) {
    std::error_code ignored;
    fs::remove_all(files.checkpoints(), ignored);
}

void write_checksums(const RunFiles& files, const std::string& result) {
    std::string lines;
    const auto add = [&](const fs::path& path, const std::string& hash) {
        lines += fmt::format("{}{}{}\n", hash, separator, path.filename().string());
    };
    for (const fs::path& path : {files.artifact(), files.metrics(), files.predictions(), files.spec()})
        if (fs::is_regular_file(path)) add(path, sha256(MappedFile(path)));
    add(files.result(), sha256(result));
    write_file(files.checksums(), lines);
}

void check_checksums(const RunFiles& files, const std::vector<std::string>& names) {
    if (!fs::exists(files.checksums())) return;
    std::istringstream lines(read_file(files.checksums()));
    std::string last;
    for (std::string line; std::getline(lines, line);) {
        const std::size_t at = line.find(separator);
        require(at != std::string::npos, "{}: damaged", files.checksums().string());
        const std::string name = line.substr(at + separator.size());
        last = name;
        if (!names.empty() && std::ranges::find(names, name) == names.end()) continue;
        const fs::path path = files.directory / name;
        require(sha256(MappedFile(path)) == line.substr(0, at),
                "{}: its content is not what was written ({} has another SHA-256)", path.string(),
                files.checksums().filename().string());
    }
    require(last == files.result().filename(), "{}: cut short", files.checksums().string());
}

}  // namespace jlcm
