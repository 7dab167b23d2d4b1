#include "core/tensor/memory.hpp"

#include "core/base/error.hpp"

#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>

namespace jlcm {
namespace {

constexpr std::size_t small_alignment = 64;
constexpr std::size_t kept_from = std::size_t{1} << 14;  // smaller blocks are malloc's business
constexpr std::size_t huge_page = std::size_t{1} << 21;
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kept_at_most = 0;  // reuse would hide accesses to freed tensors
#else
constexpr std::size_t kept_at_most = std::size_t{512} << 20;  // bytes held for reuse
#endif

std::size_t round_up(std::size_t bytes, std::size_t to) {
    return (bytes + to - 1) / to * to;
}

/// Blocks by size. Where keeping another one would pass the limit, blocks of the size that was asked for
/// least recently go first: the sizes of a stage that is over.
class Pool {
  public:
    std::byte* take(std::size_t bytes) {
        {
            const std::lock_guard lock(mutex_);
            SizeClass& same = classes_[bytes];
            same.last_use = ++clock_;
            if (!same.blocks.empty()) {
                std::byte* block = same.blocks.back();
                same.blocks.pop_back();
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
        if (bytes < kept_from || bytes > kept_at_most) {
            std::free(block);  // NOLINT: aligned_alloc
            return;
        }
        const std::lock_guard lock(mutex_);
        classes_[bytes].blocks.push_back(block);
        kept_ += bytes;
        while (kept_ > kept_at_most) evict();
    }

    void release() {
        const std::lock_guard lock(mutex_);
        while (kept_ > 0) evict();
    }

  private:
    struct SizeClass {
        std::vector<std::byte*> blocks;
        std::uint64_t last_use = 0;
    };

    void evict() {
        auto oldest = classes_.end();
        for (auto it = classes_.begin(); it != classes_.end(); ++it)
            if (!it->second.blocks.empty() &&
                (oldest == classes_.end() || it->second.last_use < oldest->second.last_use))
                oldest = it;
        std::free(oldest->second.blocks.back());  // NOLINT: aligned_alloc
        oldest->second.blocks.pop_back();
        kept_ -= oldest->first;
    }

    static std::byte* allocate(std::size_t bytes) {
        const bool huge = bytes >= 2 * huge_page;
        const std::size_t alignment = huge ? huge_page : small_alignment;
        auto* block = static_cast<std::byte*>(std::aligned_alloc(alignment, round_up(bytes, alignment)));
        if (huge && block != nullptr)
            ::madvise(block, bytes, MADV_HUGEPAGE);  // advice: a refusal changes nothing
        return block;
    }

    std::mutex mutex_;
    std::map<std::size_t, SizeClass> classes_;
    std::size_t kept_ = 0;
    std::uint64_t clock_ = 0;
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

void return_large_blocks() {
#ifdef __GLIBC__
    // By default the first large block that is freed raises the size from which blocks are mapped (up to 32 MiB). From
    // then on activations share heaps with what outlives them, and a run holds up to half as much again.
    constexpr int mapped_from = 1 << 16;
    ::mallopt(M_MMAP_THRESHOLD, mapped_from);
#endif
}

void limit_memory(double bytes) {
    const rlimit limit{static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)};
    ensure(::setrlimit(RLIMIT_DATA, &limit) == 0, "a memory limit of {:.0f} bytes could not be set", bytes);
}

std::size_t kept_memory_limit() {
    return kept_at_most;
}

void release_kept_memory() {
    pool().release();
#ifdef __GLIBC__
    // Free pages between blocks that outlive a stage: without this, a process that answers prompts of many lengths grows.
    ::malloc_trim(0);
#endif
}

}  // namespace jlcm
