#include "core/backend/decoded_weight.hpp"

#include "core/base/parallel.hpp"

namespace jlcm {

void decode_on_all_threads(const PackedWeight& weight, std::int64_t first, Tensor& rows) {
    constexpr std::int64_t at_once = 32;  // rows, by a thread
    parallel_for(rows.rows(), at_once, [&](std::int64_t begin, std::int64_t end) {
        Tensor own = rows.slice(begin, end);
        decode(weight, first + begin, first + end, own);
    });
}

Tensor dense_of(const BoundWeight& weight) {
    if (!weight.is_packed()) return weight.dense();
    Tensor dense = Tensor::empty(weight.shape(), weight.dtype());
    decode_on_all_threads(weight.packed(), 0, dense);
    return dense;
}

}  // namespace jlcm
