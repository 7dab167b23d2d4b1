#include "core/backend/cpu/attention.hpp"

#include "core/backend/cpu/dense_kernels.hpp"
#include "core/backend/cpu/gemm.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm::cpu {
namespace {

constexpr std::int64_t tile_rows = 128;

/// One head's columns of rows [begin, end) of a [.., width] tensor.
HostMatrix head_view(const Tensor& x, std::int64_t row, std::int64_t rows, std::int64_t width,
                     std::int64_t column, std::int64_t head_dim) {
    const auto offset = static_cast<std::size_t>(row * width + column) * size_of(x.dtype());
    return {x.bytes().data() + offset, x.dtype(), rows, head_dim, width};
}

template <class T>
T* head_pointer(Tensor& x, std::int64_t row, std::int64_t width, std::int64_t column) {
    return x.data<T>() + row * width + column;
}

/// Scratch of one thread, grown as needed.
template <class T, int slot>
T* scratch(std::int64_t elements) {
    thread_local Tensor memory;
    const auto bytes = elements * static_cast<std::int64_t>(sizeof(T));
    if (!memory.defined() || memory.size() < bytes) memory = Tensor::empty({bytes}, DType::u8);
    return reinterpret_cast<T*>(memory.data<std::uint8_t>());  // NOLINT: raw scratch memory
}

/// A rows x cols tile in the type that products are made in: itself, or rounded to bfloat16.
template <class T>
HostMatrix operand(const T* tile, std::int64_t rows, std::int64_t cols, DType compute,
                   std::uint16_t* rounded) {
    if (compute != DType::bf16) return {tile, DTypeOf<T>::value, rows, cols, cols};
    if constexpr (std::is_same_v<T, float>) vocabulary_kernels().to_bfloat16(rows * cols, tile, rounded);
    return {rounded, DType::bf16, rows, cols, cols};
}

/// Queries, and the keys that any of them attends to.
struct Tile {
    std::int64_t begin, rows, first_key, keys;
};

Tile query_tile(const AttentionShape& shape, std::int64_t begin) {
    const std::int64_t rows = std::min(tile_rows, shape.length - begin);
    const std::int64_t first = shape.first_key(begin);
    return {begin, rows, first, (shape.causal ? begin + rows : shape.length) - first};
}

/// A row of the tile's scores from the first key on that the query attends to.
struct Attended {
    std::int64_t skipped;  ///< keys before it
    std::int64_t keys;
    std::int64_t total;  ///< with those behind
};

Attended attended(const AttentionShape& shape, const Tile& tile, std::int64_t row) {
    const std::int64_t position = tile.begin + row;
    const std::int64_t skipped = shape.first_key(position) - tile.first_key;
    const std::int64_t end = (shape.causal ? position + 1 : shape.length) - tile.first_key;
    return {skipped, end - skipped, tile.keys - skipped};
}

/// Scores are scaled, then capped. Returns the scale that is left for the softmax.
template <class T>
T cap(const AttentionShape& shape, std::int64_t n, T* scores, T* scaled) {
    if (shape.soft_cap <= 0) return static_cast<T>(shape.scale);
    const auto& kernels = dense_kernels<T>();
    kernels.unary(static_cast<int>(Unary::affine), static_cast<T>(shape.scale), T(0), n, scores, scaled);
    kernels.unary(static_cast<int>(Unary::soft_cap), static_cast<T>(shape.soft_cap), T(0), n, scaled, scores);
    return T(1);
}

template <class T>
void forward(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, DType compute,
             Tensor& output, Tensor& log_sums) {
    const auto& kernels = dense_kernels<T>();
    const std::int64_t tiles = (shape.length + tile_rows - 1) / tile_rows;
    const std::int64_t group = shape.query_heads / shape.key_heads;
    const std::int64_t dim = shape.head_dim;
    parallel_for(shape.sequences * shape.query_heads * tiles, 1, [&](std::int64_t task, std::int64_t) {
        // Long tiles first: the last ones to start are the short ones.
        const Tile tile = query_tile(shape, (tiles - 1 - task % tiles) * tile_rows);
        const std::int64_t head = task / tiles % shape.query_heads;
        const std::int64_t sequence = task / tiles / shape.query_heads;
        const std::int64_t row = sequence * shape.length;
        const std::int64_t key_column = head / group * dim;
        T* scores = scratch<T, 0>(tile.rows * tile.keys);
        gemm_tile(head_view(q, row + tile.begin, tile.rows, shape.query_width(), head * dim, dim),
                  Transpose::no,
                  head_view(k, row + tile.first_key, tile.keys, shape.key_width(), key_column, dim),
                  Transpose::yes, scores, tile.keys, false);
        T* sums = log_sums.data<T>() + (sequence * shape.query_heads + head) * shape.length + tile.begin;
        const T scale = cap(shape, tile.rows * tile.keys, scores, scores);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
            const Attended part = attended(shape, tile, r);
            T* line = scores + r * tile.keys;
            std::fill_n(line, part.skipped, T(0));
            line += part.skipped;
            sums[r] = kernels.softmax(part.keys, part.total, scale, line, line);
        }
        std::uint16_t* rounded =
            compute == DType::bf16 ? scratch<std::uint16_t, 1>(tile.rows * tile.keys) : nullptr;
        gemm_tile(operand(scores, tile.rows, tile.keys, compute, rounded), Transpose::no,
                  head_view(v, row + tile.first_key, tile.keys, shape.key_width(), key_column, dim),
                  Transpose::no, head_pointer<T>(output, row + tile.begin, shape.query_width(), head * dim),
                  shape.query_width(), false);
    });
}

template <class T>
void backward(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
              const Tensor& output, const Tensor& log_sums, const Tensor& gradient,
              const Tensor& gradient_operand, DType compute, Tensor& dq, Tensor& dk, Tensor& dv) {
    const auto& kernels = dense_kernels<T>();
    const std::int64_t group = shape.query_heads / shape.key_heads;
    const std::int64_t dim = shape.head_dim;
    // One task owns a key/value head of a sequence, so that its gradients are summed in one fixed order.
    parallel_for(shape.sequences * shape.key_heads, 1, [&](std::int64_t task, std::int64_t) {
        const std::int64_t key_head = task % shape.key_heads;
        const std::int64_t sequence = task / shape.key_heads;
        const std::int64_t row = sequence * shape.length;
        const std::int64_t key_column = key_head * dim;
        for (std::int64_t head = key_head * group; head < (key_head + 1) * group; ++head) {
            for (std::int64_t begin = 0; begin < shape.length; begin += tile_rows) {
                const Tile tile = query_tile(shape, begin);
                const std::int64_t size = tile.rows * tile.keys;
                T* probabilities = scratch<T, 0>(size);
                T* slopes = scratch<T, 1>(size);
                std::uint16_t* rounded_p = compute == DType::bf16 ? scratch<std::uint16_t, 2>(size) : nullptr;
                std::uint16_t* rounded_s = compute == DType::bf16 ? scratch<std::uint16_t, 3>(size) : nullptr;
                const auto queries =
                    head_view(q, row + tile.begin, tile.rows, shape.query_width(), head * dim, dim);
                const std::int64_t key_row = row + tile.first_key;
                const auto keys = head_view(k, key_row, tile.keys, shape.key_width(), key_column, dim);
                const auto values = head_view(v, key_row, tile.keys, shape.key_width(), key_column, dim);
                const auto upstream = head_view(gradient_operand, row + tile.begin, tile.rows,
                                                shape.query_width(), head * dim, dim);
                gemm_tile(queries, Transpose::no, keys, Transpose::yes, probabilities, tile.keys, false);
                gemm_tile(upstream, Transpose::no, values, Transpose::yes, slopes, tile.keys, false);
                const T* sums =
                    log_sums.data<T>() + (sequence * shape.query_heads + head) * shape.length + tile.begin;
                T* scaled = shape.soft_cap > 0 ? scratch<T, 4>(size) : nullptr;
                const T scale = cap(shape, size, probabilities, scaled);
                for (std::int64_t r = 0; r < tile.rows; ++r) {
                    const std::int64_t at = (row + tile.begin + r) * shape.query_width() + head * dim;
                    T* p = probabilities + r * tile.keys;
                    T* s = slopes + r * tile.keys;
                    const Attended part = attended(shape, tile, r);
                    std::fill_n(p, part.skipped, T(0));
                    kernels.softmax_again(part.keys, part.total, scale, sums[r], p + part.skipped,
                                          p + part.skipped);
                    const T shift =
                        static_cast<T>(kernels.dot(dim, output.data<T>() + at, gradient.data<T>() + at));
                    kernels.softmax_backward(tile.keys, scale, shift, p, s, s);
                }
                if (scaled != nullptr) {
                    kernels.unary_backward(static_cast<int>(Unary::soft_cap), static_cast<T>(shape.soft_cap),
                                           T(0), size, scaled, slopes, slopes);
                    kernels.unary(static_cast<int>(Unary::affine), static_cast<T>(shape.scale), T(0), size,
                                  slopes, slopes);
                }
                const auto p = operand(probabilities, tile.rows, tile.keys, compute, rounded_p);
                const auto s = operand(slopes, tile.rows, tile.keys, compute, rounded_s);
                gemm_tile(s, Transpose::no, keys, Transpose::no,
                          head_pointer<T>(dq, row + tile.begin, shape.query_width(), head * dim),
                          shape.query_width(), false);
                // dk and dv were zeroed: a tile reaches only the rows of its own keys.
                gemm_tile(s, Transpose::yes, queries, Transpose::no,
                          head_pointer<T>(dk, key_row, shape.key_width(), key_column), shape.key_width(),
                          true);
                gemm_tile(p, Transpose::yes, upstream, Transpose::no,
                          head_pointer<T>(dv, key_row, shape.key_width(), key_column), shape.key_width(),
                          true);
            }
        }
    });
}

Tensor as_operand(Backend& backend, const Tensor& x, DType compute) {
    return compute == DType::bf16 ? backend.convert(x, DType::bf16) : x;
}

void check(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, DType compute) {
    const std::int64_t tokens = shape.sequences * shape.length;
    ensure(shape.key_heads > 0 && shape.query_heads % shape.key_heads == 0 && shape.length > 0 &&
               q.size() == tokens * shape.query_width() && k.size() == tokens * shape.key_width() &&
               v.size() == k.size() && q.dtype() == k.dtype() && q.dtype() == v.dtype(),
           "attention of q {}, k {}, v {} with {} and {} heads of {}", shown(q.shape()), shown(k.shape()),
           shown(v.shape()), shape.query_heads, shape.key_heads, shape.head_dim);
    ensure(shape.window == 0 || shape.causal, "a window of {} tokens over attention to all", shape.window);
    ensure(compute != DType::bf16 || q.dtype() == DType::f32, "bfloat16 attention of {}", name_of(q.dtype()));
}

}  // namespace

Tensor attention(Backend& backend, const AttentionShape& shape, const Tensor& q, const Tensor& k,
                 const Tensor& v, DType compute, Tensor& log_sums) {
    check(shape, q, k, v, compute);
    Tensor output = Tensor::empty(q.shape(), q.dtype());
    log_sums = Tensor::empty({shape.sequences, shape.query_heads, shape.length}, q.dtype());
    const Tensor qo = as_operand(backend, q, compute);
    const Tensor ko = as_operand(backend, k, compute);
    const Tensor vo = as_operand(backend, v, compute);
    if (q.dtype() == DType::f64) {
        forward<double>(shape, qo, ko, vo, compute, output, log_sums);
    } else {
        forward<float>(shape, qo, ko, vo, compute, output, log_sums);
    }
    return output;
}

void attention_backward(Backend& backend, const AttentionShape& shape, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Tensor& output, const Tensor& log_sums, const Tensor& gradient,
                        DType compute, Tensor& dq, Tensor& dk, Tensor& dv) {
    check(shape, q, k, v, compute);
    dq = Tensor::empty(q.shape(), q.dtype());
    dk = Tensor::zeros(k.shape(), k.dtype());
    dv = Tensor::zeros(v.shape(), v.dtype());
    const Tensor qo = as_operand(backend, q, compute);
    const Tensor ko = as_operand(backend, k, compute);
    const Tensor vo = as_operand(backend, v, compute);
    const Tensor go = as_operand(backend, gradient, compute);
    if (q.dtype() == DType::f64) {
        backward<double>(shape, qo, ko, vo, output, log_sums, gradient, go, compute, dq, dk, dv);
    } else {
        backward<float>(shape, qo, ko, vo, output, log_sums, gradient, go, compute, dq, dk, dv);
    }
}

}  // namespace jlcm::cpu
