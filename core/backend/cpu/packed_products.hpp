#pragma once
// Products with packed weights: rows of the weight are decoded in cache, a tile at a time, and each tile serves
// all rows of activations.

#include "core/backend/backend.hpp"

namespace jlcm::cpu {

/// Backend::multiply with a packed weight.
void multiply_packed(MatrixView a, const BoundWeight& weight, Tensor& c);

/// Backend::embedding with a packed table: float32 [ids.., columns].
[[nodiscard]] Tensor packed_embedding(const Tensor& ids, const PackedWeight& table);

}  // namespace jlcm::cpu
