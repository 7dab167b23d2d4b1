// What oneDNN does in a build that has it: products by Eigen, in float32 whatever the inputs.

#include "core/backend/cpu/eigen_product.hpp"
#include "core/backend/cpu/onednn_convolution.hpp"
#include "core/backend/cpu/product_library.hpp"
#include "core/base/half.hpp"

#include <vector>

namespace jlcm {
namespace {

/// `view` in float32; `values` keeps what had to be converted.
HostMatrix in_float32(const HostMatrix& view, std::vector<float>& values) {
    if (view.type == DType::f32) return view;
    const auto* bits = static_cast<const std::uint16_t*>(view.data);
    values.resize(static_cast<std::size_t>(view.rows * view.cols));
    for (std::int64_t r = 0; r < view.rows; ++r)
        for (std::int64_t c = 0; c < view.cols; ++c)
            values[static_cast<std::size_t>(r * view.cols + c)] = float_from_bf16(bits[r * view.stride + c]);
    return {values.data(), DType::f32, view.rows, view.cols, view.cols};
}

}  // namespace

bool cpu_has_bfloat16() {
    return false;
}
const char* cpu_bfloat16_unit() {
    return "none";
}

namespace cpu {

void multiply(const HostMatrix& a, Transpose ta, const HostMatrix& b, Transpose tb, float* c,
              std::int64_t c_stride, bool accumulate) {
    std::vector<float> left;
    std::vector<float> right;
    multiply_by_eigen<float>(in_float32(a, left), ta, in_float32(b, right), tb, c, c_stride, accumulate);
}

std::optional<Tensor> onednn_convolution(const Convolution& /*shape*/, const Tensor& /*x*/,
                                         const Tensor& /*weight*/, const Tensor* /*bias*/,
                                         const Epilogue& /*epilogue*/, PreparedWeight* /*prepared*/) {
    return std::nullopt;
}

}  // namespace cpu
}  // namespace jlcm
