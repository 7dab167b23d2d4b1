#pragma once
// An artifact's tensors for a GGUF file that loses nothing.

#include "core/codebook/artifact.hpp"
#include "core/formats/checkpoint_export.hpp"

namespace jlcm {

/// Each in the smallest encoding that decodes to exactly its values: a matrix on even grids in an affine type
/// (affine_matrix.hpp), other matrices in F16 or F32, tensors that are not compressed as the artifact has them.
/// One-dimensional tensors are F32. `artifact` must outlive the result.
[[nodiscard]] EncodedTensors exact_tensors(const Artifact& artifact);

}  // namespace jlcm
