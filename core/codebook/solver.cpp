#include "core/codebook/solver.hpp"

#include "core/base/parallel.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

constexpr std::int64_t check_grain = 64;  // rows

template <class T>
void require_finite(const std::string& name, const char* what, const Tensor& matrix) {
    const T* values = matrix.data<T>();
    const std::int64_t cols = matrix.cols();
    parallel_for(matrix.rows(), check_grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            T sum = 0;  // of zeros; NaN where a value is not finite
            for (std::int64_t j = 0; j < cols; ++j) sum += values[row * cols + j] * T(0);
            require(sum == T(0), "{}: row {} of the {} holds NaN or infinity", name, row, what);
        }
    });
}

}  // namespace

void LayerProblem::validate() const {
    require(weights.defined() && weights.dtype() == DType::f32 && weights.size() > 0,
            "{}: no float32 weights", name);
    require_finite<float>(name, "weights", weights);
    if (!hessian.defined()) return;
    const std::int64_t cols = weights.cols();
    require(hessian.shape() == Shape({cols, cols}), "{}: second moments {} for {} inputs", name,
            to_string(hessian.shape()), cols);
    require(hessian.dtype() == DType::f32 || hessian.dtype() == DType::f64, "{}: second moments in {}", name,
            name_of(hessian.dtype()));
    if (hessian.dtype() == DType::f32) {
        require_finite<float>(name, "second moments", hessian);
    } else {
        require_finite<double>(name, "second moments", hessian);
    }
    const auto moments = input_second_moments();
    const auto negative = std::find_if(moments.begin(), moments.end(), [](float m) { return m < 0; });
    require(negative == moments.end(), "{}: the second moment of input {} is negative", name,
            negative - moments.begin());
}

std::vector<float> LayerProblem::input_second_moments() const {
    if (!hessian.defined()) return {};
    const std::int64_t cols = hessian.cols();
    std::vector<float> diagonal(static_cast<std::size_t>(cols));
    for (std::int64_t j = 0; j < cols; ++j) {
        const std::int64_t at = j * cols + j;
        diagonal[static_cast<std::size_t>(j)] = hessian.dtype() == DType::f32
                                                    ? hessian.data<float>()[at]
                                                    : static_cast<float>(hessian.data<double>()[at]);
    }
    return diagonal;
}

}  // namespace jlcm
