#pragma once
// The inner loops of products with packed weights: packed_product.hpp says what they compute, here is how it
// is handed to them. Every variant gives the same bits.

#include "core/backend/cpu/isa.hpp"

#include <cstdint>

namespace jlcm {

/// Activations as QuantisedRows holds them.
struct PackedActivations {
    std::int64_t tokens;
    std::int64_t blocks;                  ///< of a token
    const std::int8_t* values;            ///< [tokens, blocks, columns of a block]
    const std::int32_t* minus_lane_sums;  ///< [tokens, blocks, 16], or 8 of block formats
    const float* steps;                   ///< [tokens, blocks]
    const float* sums;                    ///< [tokens, blocks]
    const float* group_sums;              ///< [tokens, column groups]: of codes
};

/// Rows of codes, and where the products go.
struct PackedCodes {
    std::int64_t cols;
    int bits;
    const std::uint8_t* codes;
    std::int64_t row_bytes;
    const std::int8_t* levels;  ///< of table 0
    std::int64_t level_step;    ///< levels from table to table: K, or 0 if all are one
    const float* scales;        ///< [groups]
    const float* offsets;       ///< [groups]
    const std::int32_t* row_groups;
    std::int64_t row_group_step;  ///< without row_groups: row * row_group_step is a row's group
    std::int64_t column_groups;
    std::int64_t group_blocks;      ///< blocks of a column group
    const std::int32_t* row_order;  ///< or null
    float* y;                       ///< [tokens, y_step]
    std::int64_t y_step;
};

/// Rows of a block format, and where the products go.
struct PackedBlocks {
    std::int64_t cols;
    const std::uint8_t* bytes;
    std::int64_t row_bytes;
    const std::int32_t* row_order;  ///< or null
    float* y;                       ///< [tokens, y_step]
    std::int64_t y_step;
};

struct PackedKernels {
    const char* name;
    /// One token in blocks for planes of `width` bits (1, 2, 4): values [blocks, 512 / width], minus_lane_sums
    /// [blocks, 16], steps and sums [blocks].
    void (*quantise)(int width, const float* x, std::int64_t cols, std::int8_t* values,
                     std::int32_t* minus_lane_sums, float* steps, float* sums);
    /// The products of stored rows [begin, end) with every token.
    void (*product)(const PackedCodes& weight, const PackedActivations& x, std::int64_t begin,
                    std::int64_t end);
};

struct BlockKernels {
    /// One token in blocks of 32 in place, an even number of them: values [blocks, 32], minus_lane_sums [blocks, 8],
    /// steps and sums [blocks].
    void (*quantise)(const float* x, std::int64_t cols, std::int8_t* values, std::int32_t* minus_lane_sums,
                     float* steps, float* sums);
    /// The products of rows [begin, end) with every token, for each encoding.
    using Product = void (*)(const PackedBlocks& weight, const PackedActivations& x, std::int64_t begin,
                             std::int64_t end);
    Product q8_0;
    Product q4_0;
    Product q4_1;
    Product q4_k;
    Product q5_k;
    Product q6_k;
};

[[nodiscard]] const PackedKernels& packed_kernels();
[[nodiscard]] const BlockKernels& block_kernels();

}  // namespace jlcm
