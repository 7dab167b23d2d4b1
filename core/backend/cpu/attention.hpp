#pragma once
// Fused attention on the CPU: scores of a tile of queries stay in cache and are never written out. The
// backward makes them again from the kept log-sums (Dao et al., "FlashAttention", 2022, section 3.1; tiles of
// queries only, since a row of scores fits the second-level cache).

#include "core/backend/backend.hpp"

namespace jlcm::cpu {

[[nodiscard]] Tensor attention(Backend& backend, const AttentionShape& shape, const Tensor& q,
                               const Tensor& k, const Tensor& v, DType compute, Tensor& log_sums);

void attention_backward(Backend& backend, const AttentionShape& shape, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Tensor& output, const Tensor& log_sums, const Tensor& gradient,
                        DType compute, Tensor& dq, Tensor& dk, Tensor& dv);

}  // namespace jlcm::cpu
