#pragma once
// Ctrl-C and SIGTERM ask long work to stop at its next safe point; another, seconds later, ends the process.

namespace jlcm {

/// Installs the handlers. Programs call it once, first thing.
void catch_interrupts();

/// Whether a stop has been asked for.
[[nodiscard]] bool interrupt_requested();

/// Forgets a stop that Ctrl-C asked for, in a program that goes on after it; one that SIGTERM asked for stays.
void forget_interrupt();

/// Throws an `interrupted` error where a stop has been asked for. Call between steps, with the state saved.
void throw_if_interrupted();

}  // namespace jlcm
