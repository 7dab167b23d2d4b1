#pragma once
// oneDNN on one thread: its engine, and its own thread pool held still.

#include <oneapi/dnnl/dnnl.hpp>

namespace jlcm::cpu {

[[nodiscard]] const dnnl::engine& onednn_engine();
/// oneDNN's own thread pool (OpenMP) must not fight ours: one thread for each of our threads. Call on each
/// before primitives are made or run.
void use_one_openmp_thread();

}  // namespace jlcm::cpu
