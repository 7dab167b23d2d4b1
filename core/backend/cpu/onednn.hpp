#pragma once
// oneDNN on one thread: its engine, and its own thread pool held still.

#include <string_view>
#include <unordered_map>

#include <oneapi/dnnl/dnnl.hpp>

namespace jlcm::cpu {

[[nodiscard]] const dnnl::engine& onednn_engine();
/// oneDNN's own thread pool (OpenMP) must not fight ours: one thread for each of our threads. Call on each
/// before primitives are made or run.
void use_one_openmp_thread();
/// Runs a primitive to its end. A system error if oneDNN cannot, which is so if its own memory cannot be had.
void run(const dnnl::primitive& primitive, dnnl::stream& stream,
         const std::unordered_map<int, dnnl::memory>& arguments);
/// The system error.
[[noreturn]] void refuse_product(std::string_view reason);

}  // namespace jlcm::cpu
