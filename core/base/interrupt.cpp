#include "core/base/interrupt.hpp"

#include "core/base/error.hpp"

#include <array>
#include <csignal>
#include <cstddef>
#include <ctime>

namespace jlcm {
namespace {

volatile std::sig_atomic_t requested = 0;
volatile std::time_t requested_at = 0;

/// Seconds; may be called in a signal handler.
std::time_t now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

void handle(int signal) {
    // Whoever stops a job often tells its process and those that watch over it, who pass it on: one request.
    if (requested != 0 && now() - requested_at >= 2) {
        std::signal(signal, SIG_DFL);
        std::raise(signal);
    }
    if (requested == 0) requested_at = now();
    if (requested != SIGTERM) requested = signal;
}

}  // namespace

void catch_interrupts() {
    // oneDNN's float32 products leave data below the stack pointer or move it into a buffer of theirs: a handler that
    // ran on that stack would overwrite it. Signals to the process come to the main thread, which calls this.
    static std::array<std::byte, std::size_t{1} << 16> memory;
    stack_t stack{};
    stack.ss_sp = memory.data();
    stack.ss_size = memory.size();
    ensure(::sigaltstack(&stack, nullptr) == 0, "no stack of their own for signal handlers");
    struct sigaction action {};
    action.sa_handler =
        handle;  // NOLINT(cppcoreguidelines-pro-type-union-access): the interface of the system
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    ensure(::sigaction(SIGINT, &action, nullptr) == 0 && ::sigaction(SIGTERM, &action, nullptr) == 0,
           "no handlers of signals");
}

bool interrupt_requested() {
    return requested != 0;
}

void forget_interrupt() {
    if (requested == SIGINT) requested = 0;
}

void throw_if_interrupted() {
    if (interrupt_requested())
        throw Error(ErrorKind::interrupted,
                    "interrupted; the same command goes on from the last saved state");
}

}  // namespace jlcm
