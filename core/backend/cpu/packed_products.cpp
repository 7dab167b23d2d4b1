#include "core/backend/cpu/packed_products.hpp"

#include "core/backend/cpu/gemm.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm::cpu {

void multiply_packed(MatrixView a, const BoundWeight& weight, Tensor& c) {
    const std::int64_t n = weight.rows();
    ensure(a.type == weight.dtype() && a.cols == weight.cols() && c.size() == a.rows * n,
           "a product of {} {} x {} and {} {} into {}", name_of(a.type), a.rows, a.cols,
           name_of(weight.dtype()), to_string(weight.shape()), to_string(c.shape()));
    // By the shape alone, and some for each of several threads.
    const std::int64_t quarter = (n + 3) / 4;
    const std::int64_t tile = std::clamp<std::int64_t>((quarter + 63) / 64 * 64, 64, weight_tile_rows);
    parallel_for(n, tile, [&](std::int64_t begin, std::int64_t end) {
        thread_local Tensor scratch;
        for (std::int64_t first = begin; first < end; first += tile) {
            const std::int64_t stop = std::min(end, first + tile);
            const MatrixView rows = matrix(weight.tile(first, stop, scratch));
            for (std::int64_t row = 0; row < a.rows; row += gemm_tile_rows) {
                MatrixView part = a;
                part.data = static_cast<const std::byte*>(a.data) +
                            static_cast<std::size_t>(row * a.stride) * size_of(a.type);
                part.rows = std::min(gemm_tile_rows, a.rows - row);
                gemm_tile(part, Transpose::no, rows, Transpose::yes, c.data<float>() + row * n + first, n,
                          false);
            }
        }
    });
}

Tensor packed_embedding(const Tensor& ids, const PackedWeight& table) {
    const std::int64_t width = table.cols();
    Shape shape = ids.shape();
    shape.push_back(width);
    Tensor y = Tensor::empty(shape);
    for (const std::int32_t id : ids.values<std::int32_t>())
        ensure(id >= 0 && id < table.rows(), "token id {} of a vocabulary of {}", id, table.rows());
    constexpr std::int64_t grain = 16;  // tokens
    parallel_for(ids.size(), grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t id = ids.data<std::int32_t>()[i];
            table.decode(id, id + 1, y.data<float>() + i * width);
        }
    });
    return y;
}

}  // namespace jlcm::cpu
