#include "core/tensor/memory.hpp"

#include "core/base/error.hpp"

#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include <sys/mman.h>

namespace jlcm {
namespace {

constexpr std::size_t small_alignment = 64;
constexpr std::size_t kept_from = std::size_t{1} << 17;  // smaller blocks are malloc's business
constexpr std::size_t huge_page = std::size_t{1} << 21;
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kept_at_most = 0;  // reuse would hide accesses to freed tensors
#else
constexpr std::size_t kept_at_most = std::size_t{512} << 20;  // bytes held for reuse
#endif

std::size_t round_up(std::size_t bytes, std::size_t to) {
    return (bytes + to - 1) / to * to;
}

class Pool {
  public:
    std::byte* take(std::size_t bytes) {
        {
            const std::lock_guard lock(mutex_);
            const auto found = free_.find(bytes);
            if (found != free_.end() && !found->second.empty()) {
                std::byte* block = found->second.back();
                found->second.pop_back();
                kept_ -= bytes;
                return block;
            }
        }
        std::byte* block = allocate(bytes);
        if (block == nullptr) {
            release();
            block = allocate(bytes);
        }
        return block;
    }

    void give(std::byte* block, std::size_t bytes) {
        {
            const std::lock_guard lock(mutex_);
            if (bytes >= kept_from && kept_ + bytes <= kept_at_most) {
                free_[bytes].push_back(block);
                kept_ += bytes;
                return;
            }
        }
        std::free(block);  // NOLINT: aligned_alloc
    }

    void release() {
        const std::lock_guard lock(mutex_);
        for (auto& [bytes, blocks] : free_)
            for (std::byte* block : blocks) std::free(block);  // NOLINT: aligned_alloc
        free_.clear();
        kept_ = 0;
    }

  private:
    static std::byte* allocate(std::size_t bytes) {
        const bool huge = bytes >= 2 * huge_page;
        auto* block = static_cast<std::byte*>(std::aligned_alloc(
            huge ? huge_page : small_alignment, round_up(bytes, huge ? huge_page : small_alignment)));
        if (huge && block != nullptr)
            ::madvise(block, bytes, MADV_HUGEPAGE);  // advice: a refusal changes nothing
        return block;
    }

    std::mutex mutex_;
    std::map<std::size_t, std::vector<std::byte*>> free_;
    std::size_t kept_ = 0;
};

Pool& pool() {
    // Never destroyed: tensors of static storage may outlive any order of destruction.
    static Pool& instance = *new Pool;  // NOLINT
    return instance;
}

}  // namespace

std::shared_ptr<std::byte> allocate_tensor_memory(std::size_t bytes) {
    const std::size_t size = round_up(bytes == 0 ? 1 : bytes, small_alignment);
    std::byte* block = pool().take(size);
    if (block == nullptr)
        throw Error(ErrorKind::system, fmt::format("out of memory: a tensor needs {} bytes", bytes));
    return {block, [size](std::byte* p) { pool().give(p, size); }};
}

void release_kept_memory() {
    pool().release();
}

}  // namespace jlcm
