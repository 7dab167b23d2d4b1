#pragma once
// Kernels of layer-wise solvers: what they do to a tile of weight rows against the layer's second moments H.
//
// A tile holds `solver_lanes` rows, transposed: element (column j, row l) lies at j * solver_lanes + l, so
// that rows are lanes of a vector register. H is symmetric, row-major, its side `cols` a multiple of
// `solver_columns` (padded with zeros).

#include "core/backend/cpu/isa.hpp"
#include "core/backend/rounding_step.hpp"

#include <cstdint>

namespace jlcm {

constexpr std::int64_t solver_lanes = 48;
constexpr std::int64_t solver_columns = 64;  ///< columns are padded to a multiple of this

struct SolverKernels {
    /// product = H tile
    void (*multiply)(std::int64_t cols, const float* hessian, const float* tile, float* product);

    /// One cycle of coordinate descent over the columns of a tile. `value` holds the present reconstruction,
    /// `residual` value minus target; each weight in turn takes the codeword that minimises the row's
    /// residual^T H residual, the others being fixed. `codewords` [K, lanes] ascending in K, `thresholds`
    /// [K - 1, lanes] between them, `inverse_diagonal` 1 / H_jj (0: the column does not matter).
    void (*descend)(std::int64_t cols, const float* hessian, const float* inverse_diagonal, int k,
                    const float* codewords, const float* thresholds, float* value, float* residual,
                    std::uint8_t* codes);

    /// Error feedback through the `cols` columns of a block (any number): column j takes the codeword nearest
    /// to aim_j less sum over i < j of factor[j, i] error_i, and error_j becomes that codeword less target_j.
    /// `factor` [cols, cols]; `tables` names each column's codewords [tables, K, lanes] and thresholds
    /// [tables, K - 1, lanes]. `target`, `aim`, `error` and `codes` [cols, lanes]; loss [lanes] += diagonal_j
    /// times the squared distance of the codeword to what was aimed at.
    void (*feed_back)(std::int64_t cols, const float* factor, const float* diagonal, int k,
                      const std::int32_t* tables, const float* codewords, const float* thresholds,
                      const float* target, const float* aim, float* error, std::uint8_t* codes, float* loss);

    /// sums [K, lanes] = sum over columns with code k of `product`.
    void (*sum_by_code)(std::int64_t cols, int k, const float* product, const std::uint8_t* codes,
                        float* sums);

    /// The k in [0, K) with the least lengths[k] + 2 sum over e of slope[e] columns[e, k] (the first one):
    /// `columns` [dimension, K], K a power of two, at most 256.
    std::int32_t (*best_codeword)(int k, std::int64_t dimension, const float* columns, const float* slope,
                                  const float* lengths);

    /// Learned rounding: error = low + gap h(v) - target, h(v) = clamp(1.2 sigmoid(v) - 0.1, 0, 1).
    void (*soft_errors)(std::int64_t n, const float* v, const float* low, const float* gap,
                        const float* target, float* error);
    /// One step of Adam on v (beta 0.9, 0.999) for step.slope * e H e^T / 2 + step.regulariser * sum 1 - |2 h
    /// - 1|^beta; `product` holds e H.
    void (*round_step)(std::int64_t n, const RoundingStep& step, const float* product, const float* gap,
                       float* v, float* first, float* second);

    /// a [tiles * lanes, K, K] = P^T H P for every row of `tiles` tiles of codes [tiles, cols, lanes], P the
    /// indicator matrix of the row's codes. `scratch`: gram_scratch_bytes().
    void (*code_gram)(std::int64_t cols, std::int64_t tiles, int k, const float* hessian,
                      const std::uint8_t* codes, double* a, void* scratch);

    /// Half of that for one row, where codewords are many: a [K, K] += P^T U P, U the upper triangle of H
    /// with half its diagonal, so that P^T H P is what was added and its transpose. `codes` [cols] below K <=
    /// 256.
    void (*add_pairs_by_code)(std::int64_t cols, int k, const float* hessian, const std::uint16_t* codes,
                              double* a);
};

/// Bytes that code_gram needs, at an address that 64 divides.
[[nodiscard]] std::int64_t gram_scratch_bytes(std::int64_t cols, std::int64_t tiles, int k);

[[nodiscard]] const SolverKernels& solver_kernels();

}  // namespace jlcm
