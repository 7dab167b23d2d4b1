#pragma once
// Where weights lie on the axis of their codewords when an estimator starts.

#include "core/base/rng.hpp"
#include "core/codebook/compressed_matrix.hpp"
#include "core/spec/fields.hpp"

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

/// How far from changing its codeword a weight starts at least, in spacings. Solvers map many weights to a
/// codeword that is not their nearest; without a margin the first step would undo that, and with the same one
/// for all, as many of them as are pushed the same way would change together in a later step.
class StartMargin {
  public:
    double least = 0.07;
    double spread = 0.2;

    void fields(Fields& v);
    /// The margin of weight `index` of its matrix: uniform in [least, least + spread], the same for the same
    /// index.
    [[nodiscard]] float of(std::int64_t index) const;

  private:
    Rng rng_{0, "margin"};
};

/// One number per weight, float32 [rows, cols]: the original weight, moved into the cell of the codeword that
/// it is mapped to, its margin away from the borders or, in a narrow cell, to the codeword.
[[nodiscard]] Tensor latent_in_cells(const CompressedMatrix& matrix, const Tensor& target,
                                     const StartMargin& margin);

}  // namespace jlcm
