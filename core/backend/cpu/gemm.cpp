#include "core/backend/cpu/gemm.hpp"

#include "core/backend/cpu/eigen_product.hpp"
#include "core/backend/cpu/product_library.hpp"

#include <algorithm>

namespace jlcm {

HostMatrix host_matrix(const MatrixView& view) {
    const DType type = view.tensor.dtype();
    return {view.tensor.bytes().data() + static_cast<std::size_t>(view.offset) * size_of(type), type,
            view.rows, view.cols, view.stride};
}

HostMatrix host_matrix(const Tensor& tensor) {
    const std::int64_t cols = tensor.shape().back();
    const std::int64_t rows = cols == 0 ? 0 : tensor.size() / cols;
    return {tensor.bytes().data(), tensor.dtype(), rows, cols, cols};
}

void gemm_tile(HostMatrix a, Transpose ta, HostMatrix b, Transpose tb, void* c, std::int64_t c_stride,
               bool accumulate) {
    const std::int64_t m = ta == Transpose::no ? a.rows : a.cols;
    const std::int64_t k = ta == Transpose::no ? a.cols : a.rows;
    const std::int64_t n = tb == Transpose::no ? b.cols : b.rows;
    ensure(a.type == b.type && (tb == Transpose::no ? b.rows : b.cols) == k, "a product of {}x{} and {}x{}",
           m, k, b.rows, b.cols);
    if (m == 0 || n == 0) return;
    if (a.type == DType::f64) {
        cpu::multiply_by_eigen(a, ta, b, tb, static_cast<double*>(c), c_stride, accumulate);
        return;
    }
    auto* out = static_cast<float*>(c);
    if (k == 0) {
        for (std::int64_t r = 0; r < m && !accumulate; ++r) std::fill_n(out + r * c_stride, n, 0.0F);
        return;
    }
    ensure(a.type == DType::f32 || a.type == DType::bf16, "a product of {} matrices", name_of(a.type));
    cpu::multiply(a, ta, b, tb, out, c_stride, accumulate);
}

}  // namespace jlcm
