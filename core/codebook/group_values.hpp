#pragma once
// The values that a group's codes stand for.

#include "core/codebook/compressed_matrix.hpp"

#include <span>

namespace jlcm {

/// values[k] = scale * codeword k + offset of group `group` (row group times column groups plus column
/// group); scalar codewords in one stage. `values`: as many as codewords.
inline void group_values(const CompressedMatrix& matrix, std::int64_t group, std::span<float> values) {
    const float* codebook = matrix.codebooks.data<float>() +
                            (matrix.layout.shared_codebook ? 0 : group) * matrix.layout.codewords();
    const float scale = matrix.scales.defined() ? matrix.scales.data<float>()[group] : 1.0F;
    const float offset = matrix.offsets.defined() ? matrix.offsets.data<float>()[group] : 0.0F;
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = codebook[k] * scale + offset;
}

}  // namespace jlcm
