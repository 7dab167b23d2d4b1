#include "core/base/interrupt.hpp"

#include "core/base/error.hpp"

#include <csignal>

namespace jlcm {
namespace {

volatile std::sig_atomic_t requested = 0;

void handle(int signal) {
    if (requested != 0) {
        std::signal(signal, SIG_DFL);
        std::raise(signal);
    }
    requested = 1;
}

}  // namespace

void catch_interrupts() {
    std::signal(SIGINT, handle);
    std::signal(SIGTERM, handle);
}

bool interrupt_requested() {
    return requested != 0;
}

void throw_if_interrupted() {
    if (interrupt_requested())
        throw Error(ErrorKind::interrupted,
                    "interrupted; the same command goes on from the last saved state");
}

}  // namespace jlcm
