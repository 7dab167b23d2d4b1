#include "core/backend/backend.hpp"

namespace jlcm {

MatrixView matrix(const Tensor& tensor) {
    ensure(tensor.defined() && !tensor.shape().empty(), "a tensor without a shape seen as a matrix");
    const std::int64_t cols = tensor.shape().back();
    const std::int64_t rows = cols == 0 ? 0 : tensor.size() / cols;
    return {tensor, 0, rows, cols, cols};
}

MatrixView submatrix(const Tensor& tensor, std::int64_t row, std::int64_t rows, std::int64_t col,
                     std::int64_t cols) {
    const MatrixView whole = matrix(tensor);
    ensure(row >= 0 && rows >= 0 && row + rows <= whole.rows && col >= 0 && cols >= 0 &&
               col + cols <= whole.cols,
           "rows {} + {} and columns {} + {} of a matrix of {} x {}", row, rows, col, cols, whole.rows,
           whole.cols);
    return {tensor, row * whole.stride + col, rows, cols, whole.stride};
}

Strides strides_of(const Shape& shape) {
    Strides strides{0, std::vector<std::int64_t>(shape.size(), 1)};
    for (std::size_t d = shape.size(); d-- > 1;) strides.steps[d - 1] = strides.steps[d] * shape[d];
    return strides;
}

Tensor Backend::product(const Tensor& a, Transpose ta, const Tensor& b, Transpose tb) {
    const MatrixView va = matrix(a);
    const MatrixView vb = matrix(b);
    Tensor c =
        Tensor::empty({ta == Transpose::no ? va.rows : va.cols, tb == Transpose::no ? vb.cols : vb.rows},
                      a.dtype() == DType::f64 ? DType::f64 : DType::f32);
    gemm(va, ta, vb, tb, c, false);
    return c;
}

Tensor Backend::product(const Tensor& a, const BoundWeight& weight) {
    const MatrixView rows = matrix(a);
    Tensor c = Tensor::empty({rows.rows, weight.rows()}, a.dtype() == DType::f64 ? DType::f64 : DType::f32);
    multiply(rows, weight, c);
    return c;
}

Backend& default_backend() {
    return cpu_backend();
}

}  // namespace jlcm
