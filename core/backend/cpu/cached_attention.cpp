#include "core/backend/cpu/cached_attention.hpp"

#include "core/backend/cpu/dense_kernels.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm {

JLCM_DECLARE_KERNELS(CachedAttentionKernels, cached_attention)

const CachedAttentionKernels& cached_attention_kernels() {
    return JLCM_SELECT_KERNELS(cached_attention);
}

namespace cpu {

Tensor cached_attention(const AttentionShape& shape, const Tensor& q, const KeyValueCache& cache) {
    ensure(cache.shape() == CacheShape{shape.sequences, shape.key_heads, shape.head_dim} &&
               q.dtype() == DType::f32 && q.size() == shape.sequences * shape.length * shape.query_width() &&
               cache.tokens() >= shape.length,
           "queries {} over {} cached tokens", shown(q.shape()), cache.tokens());
    using Part = KeyValueCache::Part;
    const CachedAttentionKernels& kernels = cached_attention_kernels();
    const CachedRowKernels& rows_of_type = kernels.rows[static_cast<int>(cache.type())];
    const std::int64_t before = cache.tokens() - shape.length;
    const std::int64_t n = shape.head_dim;
    const std::int64_t sharing = shape.query_heads / shape.key_heads;
    Tensor y = Tensor::zeros(q.shape());
    parallel_for(shape.sequences * shape.query_heads, 1, [&](std::int64_t task, std::int64_t) {
        const std::int64_t sequence = task / shape.query_heads;
        const std::int64_t head = task % shape.query_heads;
        thread_local std::vector<float> scores;
        for (std::int64_t token = 0; token < shape.length; ++token) {
            const std::int64_t seen = shape.causal ? before + token + 1 : cache.tokens();
            const std::int64_t begin = shape.first_key(seen - 1);
            const std::int64_t first_page = begin / KeyValueCache::page_tokens;
            scores.resize(static_cast<std::size_t>(seen));
            const std::int64_t at = (sequence * shape.length + token) * shape.query_width() + head * n;
            const auto each_page = [&](Part part, const auto& body) {
                for (std::int64_t first = first_page * KeyValueCache::page_tokens; first < seen;
                     first += KeyValueCache::page_tokens) {
                    const auto rows =
                        cache.rows(part, sequence, head / sharing, first / KeyValueCache::page_tokens);
                    body(rows, std::min(rows.count, seen - first), scores.data() + first);
                }
            };
            each_page(Part::keys, [&](const auto& rows, std::int64_t count, float* out) {
                rows_of_type.dot(n, count, q.data<float>() + at, rows.elements, rows.scales,
                                 static_cast<float>(shape.scale), out);
            });
            if (shape.soft_cap > 0)
                dense_kernels<float>().unary(static_cast<int>(Unary::soft_cap),
                                             static_cast<float>(shape.soft_cap), 0, seen - begin,
                                             scores.data() + begin, scores.data() + begin);
            std::fill(scores.begin() + first_page * KeyValueCache::page_tokens, scores.begin() + begin, 0.0F);
            kernels.softmax(seen - begin, scores.data() + begin);
            each_page(Part::values, [&](const auto& rows, std::int64_t count, const float* weights) {
                rows_of_type.add(n, count, weights, rows.elements, rows.scales, y.data<float>() + at);
            });
        }
    });
    return y;
}

}  // namespace cpu
}  // namespace jlcm
