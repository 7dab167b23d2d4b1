#pragma once
// How far two matrices are apart.

#include "core/tensor/tensor.hpp"

#include <cmath>

namespace jlcm::test {

/// Sum over the elements of two float32 tensors of one size.
[[nodiscard]] inline double squared_error(const Tensor& a, const Tensor& b) {
    double total = 0;
    for (std::int64_t i = 0; i < a.size(); ++i)
        total +=
            std::pow(static_cast<double>(a.data<float>()[i]) - static_cast<double>(b.data<float>()[i]), 2);
    return total;
}

}  // namespace jlcm::test
