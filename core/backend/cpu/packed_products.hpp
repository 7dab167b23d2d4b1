#pragma once
// Packed weights as products of many rows take them: decoded into scratch memory, which the next weight
// overwrites.

#include "core/backend/backend.hpp"

#include <functional>

namespace jlcm::cpu {

/// Calls body(rows, first) for consecutive parts of a packed weight as dense matrices of its type, rows `first`
/// and on. A weight is one part, so that products have the shape, and hence the bits, of those with the dense
/// weight, unless it is too large for that (a head over a vocabulary).
void for_decoded_parts(const BoundWeight& weight,
                       const std::function<void(const Tensor& rows, std::int64_t first)>& body);

/// c = a W^T by kernels on codes, for a few rows a (float32 or bfloat16).
void multiply_codes(const MatrixView& rows, const CodedRows& weight, Tensor& c);

/// Backend::embedding with a packed table: float32 [ids.., columns].
[[nodiscard]] Tensor packed_embedding(const Tensor& ids, const PackedWeight& table);

}  // namespace jlcm::cpu
