#pragma once
// Compressed matrices whose codebooks are even grids, in ggml's affine types (affine_encoding.hpp) without loss.

#include "core/codebook/compressed_matrix.hpp"
#include "core/tensor/affine_encoding.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace jlcm {

/// The smallest affine type that holds every weight to the bit; none: there is no such type. A matrix has one if its
/// codewords are scalar, in one stage, without outliers; if a row is whole blocks, and no block lies in two groups; and
/// if the values of each group are levels of that type, with a step and a minimum that are float16.
[[nodiscard]] std::optional<Encoding> affine_encoding_of(const CompressedMatrix& matrix);

/// The matrix in the type that affine_encoding_of() found, rows in the model's order.
[[nodiscard]] std::vector<std::byte> affine_blocks(const CompressedMatrix& matrix, Encoding encoding);

}  // namespace jlcm
