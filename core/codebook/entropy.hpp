#pragma once
// What the codes of a mapping tell: an entropy coder would take no less for them.

#include "core/codebook/compressed_matrix.hpp"

namespace jlcm {

/// The mean entropy of a code in bits, from 0 to those of the layout: how often a group's codes in a stage
/// name each codeword, and nothing else, is known. A coder's own tables are not in it. 0 for a matrix
/// without codes.
[[nodiscard]] double mapping_entropy(const CompressedMatrix& matrix);

}  // namespace jlcm
