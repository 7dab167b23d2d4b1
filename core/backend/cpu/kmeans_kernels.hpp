#pragma once
// The inner loops of exact one-dimensional k-means and of the nearest codeword (a number or a vector),
// vectorised.

#include "core/backend/cpu/isa.hpp"

#include <cstdint>

namespace jlcm {

/// Elements behind the end of every array that may be read (not used), and in front of `inverse`.
constexpr std::int64_t kmeans_padding = 16;

/// Prefix sums over n sorted values (n + 1 entries and padding, which repeats the last entry).
struct KMeansSums {
    std::int64_t n;
    const double* sum;
    const double* weight;
    /// Unweighted values only, else null: inverse[d] = 1 / d for d in 1..n, minus infinity for d in
    /// -padding..0; reversed_inverse[size - d] = inverse[d].
    const double* inverse;
    const double* reversed_inverse;
    std::int64_t size;
};

struct KMeansKernels {
    /// One layer of the dynamic programme: for i = k..n, next[i] = max over j = k-1..i-1 of
    /// gain[j] + (sum[i] - sum[j])^2 / (weight[i] - weight[j]), and boundary[i] the best j.
    void (*layer)(const KMeansSums& sums, std::int64_t k, const double* gain, double* next,
                  std::int32_t* boundary);
    /// The best j for i = n alone.
    std::int64_t (*last_boundary)(const KMeansSums& sums, std::int64_t k, const double* gain);
    /// Any number of clusters, each at a price: for i = 1..n, gain[i] = max over j = 0..i-1 of gain[j] +
    /// (sum[i] - sum[j])^2 / (weight[i] - weight[j]) - penalty, and boundary[i] the best j. gain[0] is given.
    void (*penalised)(const KMeansSums& sums, double penalty, double* gain, std::int32_t* boundary);
    /// codes[i] = number of thresholds (ascending) below values[i].
    void (*count_below)(const float* values, std::int64_t n, const float* thresholds, int count,
                        std::uint8_t* codes);
    /// The k in [0, K) with the least lengths[k] + 2 sum over e of slope[e] columns[e, k] (the first one):
    /// `columns` [dimension, K], K a power of two, at most 256.
    std::int32_t (*best_codeword)(int k, std::int64_t dimension, const float* columns, const float* slope,
                                  const float* lengths);
};

[[nodiscard]] const KMeansKernels& kmeans_kernels();

}  // namespace jlcm
