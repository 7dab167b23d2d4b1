#pragma once
// The devices, by name: for what passes a backend on without calling it.

namespace jlcm {

class Backend;

/// The CPU backend; one instance for the process.
[[nodiscard]] Backend& cpu_backend();

/// The device that programs compute on: the CPU today. A program names it once, at its entry, and passes it
/// on; a test checks that nothing further in names it.
[[nodiscard]] Backend& default_backend();

}  // namespace jlcm
