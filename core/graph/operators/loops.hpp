#pragma once
// Loops of operators that no backend makes faster: rare ones, which numbers of any width go through.

#include "core/base/parallel.hpp"
#include "core/graph/broadcast.hpp"
#include "core/graph/operator.hpp"

namespace jlcm::loops {

inline constexpr std::int64_t grain = 1 << 14;

/// float64 as it is, all else as float32: whole numbers come as int32 where they are the model's input.
[[nodiscard]] inline Tensor numbers(const Tensor& x) {
    return x.dtype() == DType::f64 || x.dtype() == DType::f32 ? x : x.to(DType::f32);
}

/// `body` with a zero of the type that tensors of `type` hold.
template <class Body>
void with_type(DType type, Body body) {
    if (type == DType::f64)
        body(double{});
    else
        body(float{});
}

/// y[i] = function(x[i]...), of numbers() of one shape and type.
template <class Function, class... Inputs>
[[nodiscard]] Tensor each(Function function, const Tensor& first, const Inputs&... rest) {
    Tensor y = Tensor::empty(first.shape(), first.dtype());
    with_type(first.dtype(), [&]<class T>(T) {
        T* out = y.data<T>();
        const auto apply = [&](const auto*... in) {
            parallel_for(y.size(), grain, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i) out[i] = static_cast<T>(function(in[i]...));
            });
        };
        apply(first.template data<T>(), rest.template data<T>()...);
    });
    return y;
}

/// Input i as numbers of `type`, repeated to `shape`.
[[nodiscard]] inline Tensor stretched(const ForwardContext& context, std::size_t i, const Shape& shape,
                                      DType type) {
    return expand(context.backend(), numbers(context.input(i)).to(type), shape);
}

}  // namespace jlcm::loops
