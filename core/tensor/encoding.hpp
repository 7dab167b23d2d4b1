#pragma once
// How weights lie in files: plain floats, or blocks of quantised values along a row, as ggml defines them
// (ggml-common.h, ggml-quants.c). Decoding is exact: the same float32 as the reference implementation.

#include "core/tensor/tensor.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

enum class Encoding : std::uint8_t {
    f32,
    f16,
    bf16,
    q4_0,
    q4_1,
    q5_0,
    q5_1,
    q8_0,
    q2_k,
    q3_k,
    q4_k,
    q5_k,
    q6_k,
    u8,   ///< integers, for packed artifacts; never decoded to weights
    i32,  ///< integers, as u8
};

/// "F32", "Q4_1", "Q6_K", ...: ggml's names.
[[nodiscard]] std::string_view name_of(Encoding encoding);
/// The reverse, in any case of letters; an input error lists the names there are.
[[nodiscard]] Encoding parse_encoding(std::string_view name);

/// Values in a block: 1 for plain types, else 32 or 256. A row's length is a multiple of it.
[[nodiscard]] std::int64_t block_values(Encoding encoding);
/// Bytes of a block.
[[nodiscard]] std::size_t block_bytes(Encoding encoding);
/// Bytes of a tensor of this shape; an input error where rows aren't whole blocks, a length is negative or
/// the size overflows.
[[nodiscard]] std::uint64_t encoded_bytes(Encoding encoding, const Shape& shape);

/// What a file says about a tensor. The shape is row-major: a linear layer's weight is [outputs, inputs].
struct TensorInfo {
    std::string name;
    Shape shape;
    Encoding encoding = Encoding::f32;
};

/// An encoded tensor: a view of bytes that someone else owns, e.g. a mapped file. `bytes` has encoded_bytes()
/// bytes, at any alignment.
struct StoredTensor : TensorInfo {
    std::span<const std::byte> bytes;

    /// Length of the first dimension (1 where there is none), as Tensor::rows().
    [[nodiscard]] std::int64_t rows() const { return shape.empty() ? 1 : shape.front(); }
    /// Elements of one row.
    [[nodiscard]] std::int64_t cols() const { return rows() == 0 ? 0 : element_count(shape) / rows(); }
};

/// The values as float32, in parallel. An input error for integers.
[[nodiscard]] Tensor decode(const StoredTensor& stored);

/// Rows [begin, end) to `out`, (end - begin) * cols() floats; one thread. Rows must be whole blocks.
void decode_rows(const StoredTensor& stored, std::int64_t begin, std::int64_t end, float* out);

/// `values` as f32, f16, bf16 (round to nearest even) or q8_0 (as ggml's quantize_row_q8_0_ref), in parallel.
/// Their number is a multiple of the block. q8_0 refuses NaN, infinities and magnitudes beyond 127 * 65504.
[[nodiscard]] std::vector<std::byte> encode(std::span<const float> values, Encoding encoding);

/// The encoded bytes of the tensor whose row i is row order[i] of `stored`. `order` is a permutation of the
/// rows; rows must be whole blocks.
[[nodiscard]] std::vector<std::byte> permute_rows(const StoredTensor& stored,
                                                  std::span<const std::int64_t> order);

}  // namespace jlcm
