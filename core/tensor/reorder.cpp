#include "core/tensor/reorder.hpp"

#include "core/base/parallel.hpp"

#include <algorithm>
#include <cstring>

namespace jlcm {

Tensor reorder(const Tensor& tensor, const std::vector<std::int32_t>& rows,
               const std::vector<std::int32_t>& columns) {
    if (rows.empty() && columns.empty()) return tensor;
    const std::int64_t height = tensor.rows();
    const std::int64_t width = columns.empty() ? 1 : tensor.shape().at(1);
    ensure((rows.empty() || std::ssize(rows) == height) && (columns.empty() || std::ssize(columns) == width),
           "orders of {} rows and {} columns for {}", rows.size(), columns.size(), to_string(tensor.shape()));
    Tensor result = Tensor::empty(tensor.shape(), tensor.dtype());
    const std::size_t row_bytes =
        tensor.byte_count() / static_cast<std::size_t>(std::max<std::int64_t>(1, height));
    const std::size_t item_bytes = row_bytes / static_cast<std::size_t>(width);
    const std::byte* from = tensor.bytes().data();
    std::byte* to = result.bytes().data();
    constexpr std::int64_t grain = 64;  // rows
    parallel_for(height, grain, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
            const std::byte* row = from + (rows.empty() ? i : static_cast<std::size_t>(rows[i])) * row_bytes;
            std::byte* out = to + i * row_bytes;
            if (columns.empty()) {
                std::memcpy(out, row, row_bytes);
                continue;
            }
            for (const std::int32_t column : columns) {
                std::memcpy(out, row + static_cast<std::size_t>(column) * item_bytes, item_bytes);
                out += item_bytes;
            }
        }
    });
    return result;
}

std::vector<std::int32_t> inverse_order(const std::vector<std::int32_t>& order) {
    std::vector<std::int32_t> place(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        place[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
    return place;
}

Tensor gather_rows(const Tensor& tensor, std::span<const std::int64_t> rows) {
    Shape shape = tensor.shape();
    shape.front() = std::ssize(rows);
    Tensor result = Tensor::empty(shape, tensor.dtype());
    std::byte* to = result.bytes().data();
    for (const std::int64_t row : rows) to = std::ranges::copy(tensor.slice(row, row + 1).bytes(), to).out;
    return result;
}

}  // namespace jlcm
