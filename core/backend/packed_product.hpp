#pragma once
// Products of a few tokens with weights that stay packed: y = x W^T with x in 8 bits and sums in integers.
//
//     const QuantisedRows x8 = quantise_activations(x, activation_order(weight));  // once for all that read x
//     packed_product(weight, x8, y);
//
// Results are equal to the bit on every instruction set and at any number of threads. What is computed, with
// tables t_k = a u_k + b:
// - Activations are cut into blocks of columns (ActivationOrder). A block's step is d = max |x| / 127 (at
//   least the least normal float), q = x / d to the nearest integer, and z is the sum of its x. A block with
//   a NaN or an infinity has step NaN, and so every output of its token is NaN.
// - The columns of a block belong to 16 lanes. A lane's integers u q are summed exactly; times d, they are
//   added over the blocks of a column group, in float32 and in order. That times a is added over column
//   groups; then the lanes are added as a tree (l + 8, + 4, + 2, + 1), and the sum of b times the group's z.
// Block formats: blocks of 32 columns, lanes of 4 columns, 8 for even blocks and 8 for odd ones. A lane's integers
// times (scale * d) are added over the blocks, then the lanes; then the sums of minimum times z over even and over odd
// blocks.
//
// The error against exact arithmetic: at most d / 2 |t - b| a weight from the activations and |x| times the
// tables' error (CodeTables); b meets x unrounded. A block with an outlier has a large step, and its other columns lose
// most: Backend::multiply gives tokens that lose much a second product, of what rounding left of them.

#include "core/backend/coded_rows.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <span>

namespace jlcm {

/// In what order and in what blocks a product reads activations.
enum class ActivationOrder : std::uint8_t {
    bits_1,  ///< of codes of 1 bit: blocks of 512 columns
    bits_2,  ///< of codes of 2 and 3 bits: blocks of 256 columns
    bits_4,  ///< of codes of 4 bits: blocks of 128 columns
    blocks,  ///< of block formats: blocks of 32 columns, in place
};

/// The order that a weight's products need. The weight has a kernel (no_kernel_reason).
[[nodiscard]] ActivationOrder activation_order(const CodedRows& weight);

/// Activations in 8 bits, for every weight of one order and this number of columns.
struct QuantisedRows {
    ActivationOrder order = ActivationOrder::blocks;
    std::int64_t tokens = 0;
    std::int64_t cols = 0;
    std::int64_t blocks = 0;  ///< of a token
    /// int8 as u8 [tokens, blocks, columns of a block]: in the order of the products, zeros behind the last column.
    Tensor values;
    /// i32 [tokens, blocks, 16], or 8 for block formats: minus the sum of each lane's values.
    Tensor minus_lane_sums;
    Tensor steps;  ///< f32 [tokens, blocks]: d
    Tensor sums;   ///< f32 [tokens, blocks]: z
};

/// `x`: float32 [tokens, cols], one row behind the other.
[[nodiscard]] QuantisedRows quantise_activations(const float* x, std::int64_t tokens, std::int64_t cols,
                                                 ActivationOrder order);

/// What rounding left of these activations, x - d q, to `remainder` [tokens, cols].
void rounding_remainder(const float* x, const QuantisedRows& rounded, float* remainder);

/// One of several products that read the same activations (query, key and value; gate and up).
struct PackedProduct {
    const CodedRows* weight = nullptr;
    float* y = nullptr;  ///< float32 [tokens, weight->rows], in the model's row order
};

/// Does the products in one parallel pass. Each weight has a kernel, of x's order and columns; any number of
/// tokens, made for 1 to 8.
void packed_products(std::span<const PackedProduct> products, const QuantisedRows& x);

inline void packed_product(const CodedRows& weight, const QuantisedRows& x, float* y) {
    const PackedProduct product{&weight, y};
    packed_products({&product, 1}, x);
}

/// The kernels that products of such a weight run on here: "AVX-512 VNNI", "AVX2", ...
[[nodiscard]] const char* packed_kernels_name();

}  // namespace jlcm
