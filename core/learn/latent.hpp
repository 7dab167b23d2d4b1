#pragma once
// Where weights lie on the axis of their codewords when an estimator starts.

#include "core/codebook/compressed_matrix.hpp"

#include <functional>

namespace jlcm {

/// A weight among the values that it may take.
struct PlacedWeight {
    std::int64_t index = 0;         ///< of the weight, stored row order
    float target = 0;               ///< the original weight
    int code = 0;                   ///< its present one
    std::span<const float> values;  ///< its group's, ascending
    float spacing = 0;              ///< mean distance of neighbouring values
};

/// Calls `body` for every weight of the matrix. `target`: the original weights [rows, cols], stored row
/// order.
void for_placed_weights(const CompressedMatrix& matrix, const Tensor& target,
                        const std::function<void(const PlacedWeight&)>& body);

/// One number a weight, float32 [rows, cols]: the original weight, moved into the cell of the codeword that
/// it is mapped to, `margin` spacings away from its borders or, in a narrow cell, to the codeword. Solvers
/// map many weights to a codeword that is not their nearest; without a margin the first step would undo that.
[[nodiscard]] Tensor latent_in_cells(const CompressedMatrix& matrix, const Tensor& target, double margin);

}  // namespace jlcm
