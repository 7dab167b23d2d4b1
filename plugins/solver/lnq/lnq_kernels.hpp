#pragma once
// Kernels of LNQ on tiles of rows (core/codebook/row_tiles.hpp) and second moments H.

#include "core/backend/cpu/isa.hpp"
#include "core/codebook/row_tiles.hpp"

#include <cstdint>

namespace jlcm {

struct LnqKernels {
    /// product = H tile
    void (*multiply)(std::int64_t cols, const float* second_moments, const float* tile, float* product);

    /// One cycle of coordinate descent over the columns of a tile. `value` holds the present reconstruction,
    /// `residual` value minus target; each weight in turn takes the codeword that minimises the row's
    /// residual^T H residual, the others being fixed. `codewords` [K, lanes] ascending in K, `thresholds`
    /// [K - 1, lanes] between them, `inverse_diagonal` 1 / H_jj (0: the column does not matter).
    void (*descend)(std::int64_t cols, const float* second_moments, const float* inverse_diagonal, int k,
                    const float* codewords, const float* thresholds, float* value, float* residual,
                    std::uint8_t* codes);

    /// sums [K, lanes] = sum over columns with code k of `product`.
    void (*sum_by_code)(std::int64_t cols, int k, const float* product, const std::uint8_t* codes,
                        float* sums);

    /// a [tiles * lanes, K, K] = P^T H P for every row of `tiles` tiles of codes [tiles, cols, lanes], P the
    /// indicator matrix of the row's codes. `scratch`: gram_scratch_bytes().
    void (*code_gram)(std::int64_t cols, std::int64_t tiles, int k, const float* second_moments,
                      const std::uint8_t* codes, double* a, void* scratch);

    /// Half of that for one row, where codewords are many: a [K, K] += P^T U P, U the upper triangle of H
    /// with half its diagonal, so that P^T H P is what was added and its transpose. `codes` [cols] below K <=
    /// 256.
    void (*add_pairs_by_code)(std::int64_t cols, int k, const float* second_moments,
                              const std::uint16_t* codes, double* a);
};

/// Bytes that code_gram needs, at an address that 64 divides.
[[nodiscard]] std::int64_t gram_scratch_bytes(std::int64_t cols, std::int64_t tiles, int k);

[[nodiscard]] const LnqKernels& lnq_kernels();

}  // namespace jlcm
