#pragma once
// Single-threaded matrix products on the CPU: oneDNN for float32 and bfloat16 (AVX-512 BF16 or AMX where
// there is one), Eigen for float64, and for all in a build without oneDNN. bench/gemm holds the measurements behind that choice.

#include "core/backend/backend.hpp"

namespace jlcm {

/// Rows of op(a) that products take at a time.
constexpr std::int64_t gemm_tile_rows = 256;

/// A matrix in memory of the host: `rows` x `cols` elements from `data` on, `stride` elements from row to
/// row. A view: the owner keeps the memory.
struct HostMatrix {
    const void* data = nullptr;
    DType type = DType::f32;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::int64_t stride = 0;
};

[[nodiscard]] HostMatrix host_matrix(const MatrixView& view);
/// The whole tensor: leading dimensions flattened into rows.
[[nodiscard]] HostMatrix host_matrix(const Tensor& tensor);

/// c[m, n] (float32, or float64 for float64 inputs; `c_stride` elements from row to row) = op(a) op(b), or
/// c += op(a) op(b) with `accumulate`. Runs on the calling thread.
void gemm_tile(HostMatrix a, Transpose ta, HostMatrix b, Transpose tb, void* c, std::int64_t c_stride,
               bool accumulate);

/// Whether this processor multiplies bfloat16 numbers (AVX512_BF16 or AMX_BF16).
[[nodiscard]] bool cpu_has_bfloat16();
/// "AMX", "AVX512_BF16" or "none".
[[nodiscard]] const char* cpu_bfloat16_unit();

}  // namespace jlcm
