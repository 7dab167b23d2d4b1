#pragma once
// Convolutions by oneDNN's primitives.

#include "core/backend/backend.hpp"

#include <optional>

namespace jlcm::cpu {

/// As Backend::convolution, for float32 and bfloat16; nothing where oneDNN has no fast implementation of it
/// here.
[[nodiscard]] std::optional<Tensor> onednn_convolution(const Convolution& shape, const Tensor& x,
                                                       const Tensor& weight, const Tensor* bias,
                                                       const Epilogue& epilogue, PreparedWeight* prepared);

}  // namespace jlcm::cpu
