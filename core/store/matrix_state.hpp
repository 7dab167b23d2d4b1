#pragma once
// Compressed matrices as the tensors of a saved state.

#include "core/codebook/compressed_matrix.hpp"
#include "core/store/saved_state.hpp"

#include <string>

namespace jlcm {

/// Adds the parts of `matrix` (core/codebook/matrix_parts.hpp), their names beginning with `name`.
void append_matrix(SavedState& state, const std::string& name, const CompressedMatrix& matrix);

/// The matrix that append_matrix put there, to the same bits. An input error where it is not there or not
/// valid.
[[nodiscard]] CompressedMatrix restore_matrix(const SavedState& state, const std::string& name);

}  // namespace jlcm
