#include "core/experiment/run_directory.hpp"

#include "core/base/error.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace jlcm {

Metrics::Metrics(const std::filesystem::path& path) : path_(path), file_(path, std::ios::trunc) {
    if (!file_) throw Error(ErrorKind::system, path_.string() + ": cannot be opened for writing");
}

void Metrics::append(const std::string& lines) {
    text_ += lines;
    file_ << lines;
    if (!file_.flush()) throw Error(ErrorKind::system, path_.string() + ": cannot be written to");
}

RunLock::RunLock(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0) throw Error(ErrorKind::system, path.string() + ": " + std::strerror(errno));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
    ::close(descriptor_);
    fail("{}: another process works on this run; wait until it is done", path.parent_path().string());
}

RunLock::~RunLock() {
    ::close(descriptor_);
}

std::filesystem::path RunFiles::block(std::size_t index) const {
    return checkpoints() / fmt::format("block-{:03}", index);
}

std::filesystem::path RunFiles::learning(std::size_t index) const {
    return checkpoints() / fmt::format("learning-{:03}", index);
}

}  // namespace jlcm
