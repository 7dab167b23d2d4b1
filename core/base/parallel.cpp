#include "core/base/parallel.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <immintrin.h>
#include <sched.h>

namespace jlcm {
namespace {

int available_cores() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// A number that threads wait for to change. They look for a while before they sleep: a network's loops take
/// and are apart by tens of microseconds, as long as it takes to wake a thread.
class Signal {
  public:
    [[nodiscard]] std::uint32_t value() const { return value_.load(std::memory_order_acquire); }
    void raise() {
        value_.fetch_add(1, std::memory_order_acq_rel);
        value_.notify_all();
    }
    /// Returns when the value is no longer `seen`.
    void wait(std::uint32_t seen) const {
        // Many looks to a pause: where a hypervisor sees one pause after another it takes the core away.
        constexpr int looks = 500;
        const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(100);
        do {
            for (int i = 0; i < looks; ++i)
                if (value() != seen) return;
            _mm_pause();
        } while (std::chrono::steady_clock::now() < end);
        value_.wait(seen, std::memory_order_acquire);
    }

  private:
    std::atomic<std::uint32_t> value_{0};
};

/// A loop under way. It lives on its caller's stack: helpers count themselves in and out.
class Loop {
  public:
    Loop(std::int64_t chunks, const std::function<void(std::int64_t)>& chunk)
        : chunks_(chunks), chunk_(&chunk) {}

    /// Does chunks until all are taken. The first exception ends the loop.
    void help() {
        for (std::int64_t i = next_++; i < chunks_; i = next_++) {
            try {
                (*chunk_)(i);
            } catch (...) {
                const std::lock_guard lock(mutex_);
                if (!failure_) failure_ = std::current_exception();
                next_ = chunks_;
            }
        }
    }
    [[nodiscard]] bool has_chunks() const { return next_ < chunks_; }
    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

    std::atomic<int> helpers{0};

  private:
    std::int64_t chunks_;
    const std::function<void(std::int64_t)>* chunk_;
    std::atomic<std::int64_t> next_{0};
    std::mutex mutex_;
    std::exception_ptr failure_;
};

class Pool {
  public:
    explicit Pool(int threads) {
        for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool() {
        stopping_ = true;
        begun_.raise();
        for (std::thread& worker : workers_) worker.join();
    }

    /// The caller does its own loop's chunks, never another's, so that thread-local scratch memory is not
    /// entered twice.
    void run(std::int64_t chunks, const std::function<void(std::int64_t)>& chunk) {
        Loop loop(chunks, chunk);
        {
            const std::lock_guard lock(mutex_);
            loops_.push_back(&loop);
        }
        begun_.raise();
        loop.help();
        {
            const std::lock_guard lock(mutex_);
            std::erase(loops_, &loop);
        }
        while (true) {
            const std::uint32_t seen = left_.value();
            if (loop.helpers.load(std::memory_order_acquire) == 0) break;
            left_.wait(seen);
        }
        loop.rethrow();
    }

  private:
    void work() {
        while (!stopping_) {
            const std::uint32_t seen = begun_.value();
            if (Loop* loop = join_one()) {
                loop->help();
                loop->helpers.fetch_sub(1, std::memory_order_acq_rel);  // the loop may be gone behind this
                left_.raise();
            } else if (!stopping_) {
                begun_.wait(seen);
            }
        }
    }

    /// A loop that has chunks left, the innermost first; null: none.
    Loop* join_one() {
        const std::lock_guard lock(mutex_);
        for (auto it = loops_.rbegin(); it != loops_.rend(); ++it) {
            if (!(*it)->has_chunks()) continue;
            ++(*it)->helpers;
            return *it;
        }
        return nullptr;
    }

    std::mutex mutex_;
    std::vector<Loop*> loops_;
    Signal begun_;  ///< a loop has begun, or the pool ends
    Signal left_;   ///< a helper has left a loop
    std::atomic<bool> stopping_{false};
    std::vector<std::thread> workers_;
};

int configured_threads = available_cores();
std::unique_ptr<Pool>& pool() {
    static std::unique_ptr<Pool> instance = std::make_unique<Pool>(configured_threads);
    return instance;
}

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
    pool() = std::make_unique<Pool>(threads);
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
    pool()->run(chunks, [&](std::int64_t i) {
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
