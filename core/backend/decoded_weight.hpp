#pragma once
// Packed weights as whole tensors, for what cannot read them packed.

#include "core/backend/weight.hpp"

namespace jlcm {

/// Rows first, first + 1, ... of a packed weight into `rows` [count, cols], float32 or bfloat16, on all threads.
void decode_on_all_threads(const PackedWeight& weight, std::int64_t first, Tensor& rows);

/// The weight as one dense matrix of its type: its tensor, or a new one that it is decoded to.
[[nodiscard]] Tensor dense_of(const BoundWeight& weight);

}  // namespace jlcm
