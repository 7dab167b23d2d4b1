#pragma once
// Random tensors for tests.

#include "core/base/rng.hpp"
#include "core/tensor/tensor.hpp"

#include <string_view>

namespace jlcm::test {

/// Normal numbers with standard deviation `scale`.
inline Tensor random_tensor(Shape shape, std::string_view stream, DType type = DType::f64,
                            double scale = 1.0) {
    Tensor tensor = Tensor::empty(std::move(shape), DType::f64);
    const Rng rng(7, stream);
    for (std::int64_t i = 0; i < tensor.size(); ++i)
        tensor.data<double>()[i] = scale * rng.normal(static_cast<std::uint64_t>(i));
    return type == DType::f64 ? tensor : tensor.to(type);
}

/// Random ids below `vocabulary`.
inline Tensor random_ids(Shape shape, std::int64_t vocabulary, std::string_view stream) {
    Tensor ids = Tensor::empty(std::move(shape), DType::i32);
    const Rng rng(7, stream);
    for (std::int64_t i = 0; i < ids.size(); ++i)
        ids.data<std::int32_t>()[i] = static_cast<std::int32_t>(rng.bits(static_cast<std::uint64_t>(i)) %
                                                                static_cast<std::uint64_t>(vocabulary));
    return ids;
}

}  // namespace jlcm::test
