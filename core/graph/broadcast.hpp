#pragma once
// Shapes that stretch to fit each other, as numpy's and ONNX's: aligned at the last dimension, a dimension of
// one fits any.

#include "core/backend/backend.hpp"

namespace jlcm {

/// The common shape; an input error that names both if there is none.
[[nodiscard]] Shape broadcast(const Shape& a, const Shape& b);
/// x repeated to `shape`, which it fits; x itself if it has that shape.
[[nodiscard]] Tensor expand(Backend& backend, const Tensor& x, const Shape& shape);
/// The reverse: the sum over what was repeated.
[[nodiscard]] Tensor sum_to(Backend& backend, const Tensor& x, const Shape& shape);

}  // namespace jlcm
