#pragma once
// Rows and columns of a tensor in another order.

#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace jlcm {

/// result[i, j, ...] = tensor[rows[i], columns[j], ...], over the first two dimensions; an empty order leaves
/// its dimension as it is. Returns `tensor` itself where both are empty.
[[nodiscard]] Tensor reorder(const Tensor& tensor, const std::vector<std::int32_t>& rows,
                             const std::vector<std::int32_t>& columns);

/// The place of each element of a permutation: result[order[i]] = i. Empty for an empty order.
[[nodiscard]] std::vector<std::int32_t> inverse_order(const std::vector<std::int32_t>& order);

/// result[i, ...] = tensor[rows[i], ...], as many as there are `rows`.
[[nodiscard]] Tensor gather_rows(const Tensor& tensor, std::span<const std::int64_t> rows);

}  // namespace jlcm
