#pragma once
// The one way to use several cores. Work is cut into chunks that depend on the problem's size alone, never on
// the number of threads, so that results are the same bytes at any thread count.

#include <cstdint>
#include <functional>

namespace jlcm {

/// Sets the number of threads used from now on (>= 1). Call from the main thread, outside parallel work.
void set_thread_count(int threads);

/// Threads in use; by default every core that the process may run on.
[[nodiscard]] int thread_count();

/// Calls `body(begin, end)` for the chunks [0, grain), [grain, 2 grain), ... of [0, n), several at once.
/// Chunks must not depend on each other. An exception thrown by `body` is rethrown here. May be nested: a
/// loop inside a chunk of one that keeps every thread busy runs on its own thread alone, where the data is in
/// cache.
void parallel_for(std::int64_t n, std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& body);

/// Sums `body(begin, end)` over the same chunks, added in chunk order: the same bits at any thread count.
[[nodiscard]] double parallel_sum(std::int64_t n, std::int64_t grain,
                                  const std::function<double(std::int64_t, std::int64_t)>& body);

}  // namespace jlcm
