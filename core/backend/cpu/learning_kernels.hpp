#pragma once
// Kernels of learning on a segment of one row, whose weights read one table. Codes are bytes; K values per
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
    void (*adam)(std::int64_t n, const AdamStep* adam, const float* gradient, float* value,
                 float* first_moment, float* second_moment);
};

[[nodiscard]] const LearningKernels& learning_kernels();

}  // namespace jlcm
