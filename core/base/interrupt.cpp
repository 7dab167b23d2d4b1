#include "core/base/interrupt.hpp"

#include "core/base/error.hpp"

#include <csignal>
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
    std::signal(SIGINT, handle);
    std::signal(SIGTERM, handle);
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
