#pragma once
// Pooling of channels-last images on the CPU; see Backend.

#include "core/backend/backend.hpp"

namespace jlcm::cpu {

[[nodiscard]] Tensor pool(const Windows& windows, Pooling pooling, const Tensor& x);
[[nodiscard]] Tensor pool_backward(const Windows& windows, Pooling pooling, const Tensor& x,
                                   const Tensor& gradient);

}  // namespace jlcm::cpu
