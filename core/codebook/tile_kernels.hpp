#pragma once
// What kernels of layer-wise solvers do to tiles (row_tiles.hpp), for isa_*.cpp only: hence in namespace
// JLCM_ISA.

#include "core/codebook/row_tiles.hpp"

#include <cstdint>

namespace jlcm::JLCM_ISA {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int lane_vectors = 3;  // vectors of rows and columns of one register tile: 24 accumulators of 32
constexpr int tile_columns = 8;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
constexpr int lane_vectors = 3;  // 12 accumulators of 16
constexpr int tile_columns = 4;
#else
constexpr int vector_bytes = 16;
constexpr int lane_vectors = 3;
constexpr int tile_columns = 4;
#endif

constexpr std::int64_t width = vector_bytes / 4;
constexpr std::int64_t lanes = solver_lanes;

using Vector = float __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
using Register = float __attribute__((vector_size(vector_bytes)));

static_assert(lanes % (lane_vectors * width) == 0);

/// out[c][l] = (add: +=) sum over j of rows c of H times tile[j][l], for tile_columns rows of H and
/// lane_vectors vectors.
[[gnu::always_inline]] inline void product_tile(std::int64_t cols, const float* second_moments,
                                                std::int64_t stride, const float* tile, float* out,
                                                bool add) {
    Register sum[tile_columns][lane_vectors];
    for (int c = 0; c < tile_columns; ++c)
        for (int v = 0; v < lane_vectors; ++v)
            sum[c][v] = add ? *reinterpret_cast<const Vector*>(out + c * lanes + v * width) : Register{};
    for (std::int64_t j = 0; j < cols; ++j) {
        Register x[lane_vectors];
        for (int v = 0; v < lane_vectors; ++v)
            x[v] = *reinterpret_cast<const Vector*>(tile + j * lanes + v * width);
        for (int c = 0; c < tile_columns; ++c) {
            const float h = second_moments[c * stride + j];
            for (int v = 0; v < lane_vectors; ++v) sum[c][v] += h * x[v];
        }
    }
    for (int c = 0; c < tile_columns; ++c)
        for (int v = 0; v < lane_vectors; ++v)
            *reinterpret_cast<Vector*>(out + c * lanes + v * width) = sum[c][v];
}

/// The codeword nearest to the target of each lane: the number of thresholds below it. `codewords` [K, lanes]
/// ascending in K, `thresholds` [K - 1, lanes] between them. Few codewords are compared one by one.
[[gnu::always_inline]] inline void nearest_codewords(int k, const float* codewords, const float* thresholds,
                                                     const float* target, float* value, std::int32_t* code) {
    if (k <= 16) {
        for (std::int64_t l = 0; l < lanes; ++l) value[l] = codewords[l];
        for (std::int64_t l = 0; l < lanes; ++l) code[l] = 0;
        for (int t = 0; t + 1 < k; ++t) {
            const float* threshold = thresholds + t * lanes;
            const float* codeword = codewords + (t + 1) * lanes;
            for (std::int64_t l = 0; l < lanes; ++l) {
                const bool above = target[l] > threshold[l];
                value[l] = above ? codeword[l] : value[l];
                code[l] += above ? 1 : 0;
            }
        }
        return;
    }
    for (std::int64_t l = 0; l < lanes; ++l) code[l] = 0;
    for (int step = k / 2; step >= 1; step /= 2) {
        for (std::int64_t l = 0; l < lanes; ++l) {
            const std::int32_t next = code[l] + step;
            code[l] = target[l] > thresholds[(next - 1) * lanes + l] ? next : code[l];
        }
    }
    for (std::int64_t l = 0; l < lanes; ++l) value[l] = codewords[code[l] * lanes + l];
}

}  // namespace jlcm::JLCM_ISA
