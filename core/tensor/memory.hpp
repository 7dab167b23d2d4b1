#pragma once
// Memory of tensors. Activations of the same sizes come and go with every step; giving their pages back to
// the system each time costs more than the work on them, so large blocks are kept for the next tensor of that
// size.

#include <cstddef>
#include <memory>

namespace jlcm {

/// A block of at least `bytes`, aligned to 64 bytes, not initialised. Thread-safe. Throws a system error
/// where there is no memory.
[[nodiscard]] std::shared_ptr<std::byte> allocate_tensor_memory(std::size_t bytes);

/// From now on a large block that is freed goes back to the system at once, whatever was allocated behind it. For the
/// start of a program: a process that only loads the library keeps its own rules. Without effect where malloc is not
/// glibc's.
void return_large_blocks();

/// From now on the process cannot hold more than about `bytes` of memory of its own (mapped files apart):
/// what asks for more gets the system error.
void limit_memory(double bytes);

/// Bytes that are kept at most.
[[nodiscard]] std::size_t kept_memory_limit();

/// Gives all kept blocks back to the system.
void release_kept_memory();

}  // namespace jlcm
