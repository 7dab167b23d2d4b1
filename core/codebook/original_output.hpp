#pragma once
// Targets of the layer-wise stages that make up for what earlier layers have lost.

#include "core/backend/backend.hpp"
#include "core/tensor/tensor.hpp"

namespace jlcm {

/// Moves `weights` W (float32 [rows, cols]) to those that make of a layer's present inputs x~ what W makes of
/// the original inputs x, by least squares over the samples,
///
///     argmin over W* of  sum |W* x~ - W x|^2 + r |W* - W|^2  =  W + W (sum x x~^T - H) (H + r I)^-1,   H =
///     sum x~ x~^T
///
/// with r 1 % of H's mean diagonal. `second_moments` and `with_original` (sum x x~^T): float32 [cols, cols]. W stays
/// where the inputs are all zero, or H is not positive definite within rounding.
void fit_to_original_output(Tensor& weights, const Tensor& second_moments, const Tensor& with_original,
                            Backend& backend);

}  // namespace jlcm
