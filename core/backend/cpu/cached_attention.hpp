#pragma once
// Attention of a few new tokens over cached keys and values: Backend::cached_attention.

#include "core/backend/backend.hpp"
#include "core/backend/cpu/isa.hpp"

namespace jlcm {

/// Rows of a page of a KeyValueCache. One instance for each CacheType, in its order.
struct CachedRowKernels {
    /// scores[t] = scale * q . row t, for `count` rows of n elements.
    void (*dot)(std::int64_t n, std::int64_t count, const float* q, const void* rows, const float* scales,
                float scale, float* scores);
    /// out += sum of weights[t] * row t.
    void (*add)(std::int64_t n, std::int64_t count, const float* weights, const void* rows,
                const float* scales, float* out);
};
struct CachedAttentionKernels {
    CachedRowKernels rows[3];
    /// In place over n >= 1 scores.
    void (*softmax)(std::int64_t n, float* x);
};
[[nodiscard]] const CachedAttentionKernels& cached_attention_kernels();

namespace cpu {

[[nodiscard]] Tensor cached_attention(const AttentionShape& shape, const Tensor& q,
                                      const KeyValueCache& cache);

}  // namespace cpu
}  // namespace jlcm
