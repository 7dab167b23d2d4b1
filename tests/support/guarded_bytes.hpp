#pragma once
// A copy of bytes that ends where memory ends: whoever reads on, crashes.

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <span>

#include <sys/mman.h>

namespace jlcm::test {

class GuardedBytes {
  public:
    explicit GuardedBytes(std::span<const std::byte> content) {
        constexpr std::size_t page = 65536;  // a multiple of every page size
        size_ = (content.size() + page - 1) / page * page + page;
        memory_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED) std::abort();
        std::byte* guard = static_cast<std::byte*>(memory_) + size_ - page;
        if (::mprotect(guard, page, PROT_NONE) != 0) std::abort();
        bytes_ = {guard - content.size(), content.size()};
        std::ranges::copy(content, guard - content.size());
    }
    GuardedBytes(const GuardedBytes&) = delete;
    GuardedBytes& operator=(const GuardedBytes&) = delete;
    ~GuardedBytes() { ::munmap(memory_, size_); }

    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
    [[nodiscard]] const std::byte* data() const { return bytes_.data(); }

  private:
    void* memory_;
    std::size_t size_;
    std::span<const std::byte> bytes_;
};

}  // namespace jlcm::test
