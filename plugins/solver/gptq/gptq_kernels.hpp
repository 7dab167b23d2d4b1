#pragma once
// The kernel of GPTQ on tiles of rows (core/codebook/row_tiles.hpp).

#include "core/backend/cpu/isa.hpp"
#include "core/codebook/row_tiles.hpp"

#include <cstdint>

namespace jlcm {

struct GptqKernels {
    /// Error feedback through the `cols` columns of a block (any number): column j takes the codeword nearest
    /// to aim_j less sum over i < j of factor[j, i] error_i, and error_j becomes that codeword less target_j.
    /// `factor` [cols, cols]; `tables` names each column's codewords [tables, K, lanes] and thresholds
    /// [tables, K - 1, lanes]. `target`, `aim`, `error` and `codes` [cols, lanes]; loss [lanes] += diagonal_j
    /// times the squared distance of the codeword to what was aimed at.
    void (*feed_back)(std::int64_t cols, const float* factor, const float* diagonal, int k,
                      const std::int32_t* tables, const float* codewords, const float* thresholds,
                      const float* target, const float* aim, float* error, std::uint8_t* codes, float* loss);
};

}  // namespace jlcm
