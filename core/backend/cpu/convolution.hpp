#pragma once
// Convolutions of channels-last images on the CPU; see Backend. `backend` is the CPU's, for the steps around
// them.

#include "core/backend/backend.hpp"

namespace jlcm::cpu {

[[nodiscard]] Tensor convolution(Backend& backend, const Convolution& shape, const Tensor& x,
                                 const Tensor& weight, const Tensor* bias, const Epilogue& epilogue,
                                 PreparedWeight* prepared);
[[nodiscard]] Tensor convolution_input_gradient(Backend& backend, const Convolution& shape,
                                                const Tensor& weight, const Tensor& gradient);
void convolution_weight_gradient(Backend& backend, const Convolution& shape, const Tensor& x,
                                 const Tensor& gradient, Tensor& weight_gradient);
[[nodiscard]] Tensor patches(const Convolution& shape, const Tensor& x);

}  // namespace jlcm::cpu
