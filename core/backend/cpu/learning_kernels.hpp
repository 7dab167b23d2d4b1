#pragma once
// Kernels of learning on a stretch of one row whose weights read one table. Codes are bytes; K values a
// table, ascending.

#include "core/backend/backend.hpp"
#include "core/backend/cpu/isa.hpp"

#include <cstdint>

namespace jlcm {

struct LearningKernels {
    void (*decode)(std::int64_t n, const std::uint8_t* codes, const float* table, float* out);
    void (*decode_bfloat16)(std::int64_t n, const std::uint8_t* codes, const std::uint16_t* table,
                            std::uint16_t* out);
    /// sums[k] += gradients of the weights with code k
    void (*table_gradient)(std::int64_t n, int codewords, const std::uint8_t* codes, const float* gradient,
                           float* sums);
    /// adam.rate is in units of the weights here. jumps[j] += codes that moved by j + 1.
    void (*nearest_step)(std::int64_t n, int codewords, const float* table, const AdamStep* adam, float low,
                         float high, const float* gradient, float* latent, float* first_moment,
                         float* second_moment, std::uint8_t* codes, std::int64_t* jumps);
    /// step.trust is in units of the weights here.
    void (*curvature_step)(std::int64_t n, int codewords, const float* table, const CurvatureStep* step,
                           const float* gradient, const float* curvature, float* latent, float* first_moment,
                           std::uint8_t* codes, std::int64_t* jumps);
    /// scores, first_moment (and second_moment, where it is kept for each score): `window` a weight
    void (*score_step)(std::int64_t n, int codewords, int window, const float* table, const ScoreStep* step,
                       const float* gradient, float* scores, float* first_moment, float* second_moment,
                       std::uint8_t* codes, std::int64_t* jumps);
    void (*adam)(std::int64_t n, const AdamStep* adam, const float* gradient, float* value,
                 float* first_moment, float* second_moment);
};

[[nodiscard]] const LearningKernels& learning_kernels();

}  // namespace jlcm
