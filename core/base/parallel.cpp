#include "core/base/parallel.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <sched.h>

#ifdef JLCM_STD_THREADS
#include <atomic>
#include <exception>
#include <mutex>
#else
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#endif

namespace jlcm {
namespace {

int available_cores() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

#ifdef JLCM_STD_THREADS

int configured_threads = available_cores();

void run_chunks(std::int64_t chunks, const std::function<void(std::int64_t)>& chunk) {
    std::atomic<std::int64_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    auto work = [&] {
        for (std::int64_t i = next++; i < chunks; i = next++) {
            try {
                chunk(i);
            } catch (...) {
                const std::lock_guard lock(failure_mutex);
                if (!failure) failure = std::current_exception();
            }
        }
    };
    std::vector<std::thread> helpers;
    const std::int64_t wanted = std::min<std::int64_t>(configured_threads, chunks);
    for (std::int64_t i = 1; i < wanted; ++i) helpers.emplace_back(work);
    work();
    for (auto& helper : helpers) helper.join();
    if (failure) std::rethrow_exception(failure);
}

#else

struct Pool {
    explicit Pool(int threads)
        : limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads)),
          arena(threads) {}
    tbb::global_control limit;
    tbb::task_arena arena;
};

int configured_threads = available_cores();
std::unique_ptr<Pool>& pool() {
    static std::unique_ptr<Pool> instance = std::make_unique<Pool>(configured_threads);
    return instance;
}

void run_chunks(std::int64_t chunks, const std::function<void(std::int64_t)>& chunk) {
    pool()->arena.execute([&] {
        // Isolation keeps a thread that waits inside a chunk from starting another chunk on top of it, so
        // that thread-local scratch memory is never entered twice.
        tbb::this_task_arena::isolate([&] {
            tbb::parallel_for(std::int64_t{0}, chunks, std::int64_t{1}, chunk, tbb::simple_partitioner{});
        });
    });
}

#endif

/// Set while this thread works on a chunk of a loop that has one for every thread.
thread_local bool others_are_busy = false;

class BusyOthers {
  public:
    explicit BusyOthers(bool busy) : former_(std::exchange(others_are_busy, busy)) {}
    BusyOthers(const BusyOthers&) = delete;
    BusyOthers& operator=(const BusyOthers&) = delete;
    ~BusyOthers() { others_are_busy = former_; }

  private:
    bool former_;
};

}  // namespace

void set_thread_count(int threads) {
    require(threads >= 1, "the number of threads is {}; it must be at least 1", threads);
    configured_threads = threads;
#ifndef JLCM_STD_THREADS
    pool() = nullptr;  // the old limit has to go first: the lowest limit alive is the one in force
    pool() = std::make_unique<Pool>(threads);
#endif
}

int thread_count() {
    return configured_threads;
}

void parallel_for(std::int64_t n, std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& body) {
    ensure(grain >= 1, "parallel_for with grain {}", grain);
    if (n <= 0) return;
    const std::int64_t chunks = (n + grain - 1) / grain;
    if (chunks == 1 || configured_threads == 1 || others_are_busy) {
        for (std::int64_t i = 0; i < chunks; ++i) body(i * grain, std::min(n, (i + 1) * grain));
        return;
    }
    run_chunks(chunks, [&](std::int64_t i) {
        const BusyOthers scope(chunks >= configured_threads);
        body(i * grain, std::min(n, (i + 1) * grain));
    });
}

double parallel_sum(std::int64_t n, std::int64_t grain,
                    const std::function<double(std::int64_t, std::int64_t)>& body) {
    if (n <= 0) return 0.0;
    std::vector<double> partial(static_cast<std::size_t>((n + grain - 1) / grain));
    parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
        partial[static_cast<std::size_t>(begin / grain)] = body(begin, end);
    });
    double total = 0.0;
    for (const double value : partial) total += value;
    return total;
}

}  // namespace jlcm
