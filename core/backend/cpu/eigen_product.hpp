#pragma once
// Products by Eigen, for float and double. Single-threaded (EIGEN_DONT_PARALLELIZE).

#include "core/backend/cpu/gemm.hpp"

#include <Eigen/Core>

namespace jlcm::cpu {

/// As gemm_tile; `a` and `b` hold numbers of type T.
template <class T>
void multiply_by_eigen(const HostMatrix& a, Transpose ta, const HostMatrix& b, Transpose tb, T* c,
                       std::int64_t c_stride, bool accumulate) {
    using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Stride = Eigen::OuterStride<>;
    const auto map = [](const HostMatrix& view) {
        return Eigen::Map<const RowMajor, 0, Stride>(static_cast<const T*>(view.data), view.rows, view.cols,
                                                     Stride(view.stride));
    };
    const std::int64_t m = ta == Transpose::no ? a.rows : a.cols;
    const std::int64_t n = tb == Transpose::no ? b.cols : b.rows;
    Eigen::Map<RowMajor, 0, Stride> out(c, m, n, Stride(c_stride));
    if (!accumulate) out.setZero();
    if (ta == Transpose::no && tb == Transpose::no) out.noalias() += map(a) * map(b);
    if (ta == Transpose::no && tb == Transpose::yes) out.noalias() += map(a) * map(b).transpose();
    if (ta == Transpose::yes && tb == Transpose::no) out.noalias() += map(a).transpose() * map(b);
    if (ta == Transpose::yes && tb == Transpose::yes)
        out.noalias() += map(a).transpose() * map(b).transpose();
}

}  // namespace jlcm::cpu
