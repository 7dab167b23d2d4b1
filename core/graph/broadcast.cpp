#include "core/graph/broadcast.hpp"

#include <algorithm>

namespace jlcm {
namespace {

/// Steps of a dense tensor of `shape` along the dimensions of `full`: 0 where it is repeated.
Strides repeated(const Shape& shape, const Shape& full) {
    const Strides dense = strides_of(shape);
    Strides result{0, std::vector<std::int64_t>(full.size(), 0)};
    const std::size_t missing = full.size() - shape.size();
    for (std::size_t d = 0; d < shape.size(); ++d)
        if (shape[d] != 1) result.steps[missing + d] = dense.steps[d];
    return result;
}

}  // namespace

Shape broadcast(const Shape& a, const Shape& b) {
    Shape result(std::max(a.size(), b.size()), 1);
    for (const Shape* shape : {&a, &b}) {
        const std::size_t missing = result.size() - shape->size();
        for (std::size_t d = 0; d < shape->size(); ++d) {
            const std::int64_t size = (*shape)[d];
            std::int64_t& common = result[missing + d];
            require(size == 1 || common == 1 || size == common, "shapes {} and {} do not fit each other",
                    to_string(a), to_string(b));
            if (size != 1) common = size;
        }
    }
    return result;
}

Tensor expand(Backend& backend, const Tensor& x, const Shape& shape) {
    if (x.shape() == shape) return x;
    Tensor y = Tensor::empty(shape, x.dtype());
    backend.copy_strided(shape, x, repeated(x.shape(), shape), y, strides_of(shape), false);
    return y;
}

Tensor sum_to(Backend& backend, const Tensor& x, const Shape& shape) {
    if (x.shape() == shape) return x;
    Tensor y = Tensor::zeros(shape, x.dtype());
    backend.copy_strided(x.shape(), x, strides_of(x.shape()), y, repeated(shape, x.shape()), true);
    return y;
}

}  // namespace jlcm
