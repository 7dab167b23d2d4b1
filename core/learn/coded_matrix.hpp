#pragma once
// A compressed matrix (dimension 1, one codebook stage) as the backend's kernels take it.

#include "core/backend/backend.hpp"
#include "core/codebook/compressed_matrix.hpp"

namespace jlcm {

/// float32 [groups, K]: scale * codeword + offset of every group.
[[nodiscard]] Tensor group_tables(const CompressedMatrix& matrix);

/// The view of `matrix`'s codes with these tables and groups, which must outlive it.
[[nodiscard]] CodedMatrix coded_matrix(const CompressedMatrix& matrix, const Tensor& tables,
                                       const GroupMap& groups);

}  // namespace jlcm
