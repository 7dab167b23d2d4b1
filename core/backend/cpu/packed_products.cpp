#include "core/backend/cpu/packed_products.hpp"

#include "core/backend/cpu/dense_kernels.hpp"
#include "core/backend/cpu/gemm.hpp"
#include "core/backend/decoded_weight.hpp"
#include "core/backend/packed_product.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm::cpu {

void for_decoded_parts(const BoundWeight& weight,
                       const std::function<void(const Tensor& rows, std::int64_t first)>& body) {
    // Fast products owe nobody the bits of a whole matrix.
    const std::int64_t largest_part = weight.products() == Products::fast ? 16 << 20 : 96 << 20;  // bytes
    const PackedWeight& packed = weight.packed();
    const std::int64_t row_bytes = packed.cols() * static_cast<std::int64_t>(size_of(weight.dtype()));
    const std::int64_t parts =
        std::max<std::int64_t>(1, (packed.rows() * row_bytes + largest_part - 1) / largest_part);
    const std::int64_t step = (packed.rows() + parts - 1) / parts;
    // Of one size for all matrices that are larger, so that the memory of one serves the next.
    const std::int64_t scratch_bytes = parts == 1 ? step * row_bytes : largest_part + row_bytes;
    const Tensor scratch =
        Tensor::empty({scratch_bytes / static_cast<std::int64_t>(size_of(weight.dtype()))}, weight.dtype())
            .slice(0, step * packed.cols())
            .reshape({step, packed.cols()});
    for (std::int64_t first = 0; first < packed.rows(); first += step) {
        Tensor rows = scratch.slice(0, std::min(step, packed.rows() - first));
        decode_on_all_threads(packed, first, rows);
        body(rows, first);
    }
}

void multiply_codes(const MatrixView& rows, const CodedRows& weight, Tensor& c) {
    const HostMatrix a = host_matrix(rows);
    const auto* x = static_cast<const float*>(a.data);
    Tensor copy;
    if (a.type != DType::f32 || a.stride != a.cols) {
        copy = Tensor::empty({a.rows, a.cols});
        for (std::int64_t row = 0; row < a.rows; ++row) {
            float* to = copy.data<float>() + row * a.cols;
            if (a.type == DType::bf16) {
                vocabulary_kernels().from_bfloat16(
                    a.cols, static_cast<const std::uint16_t*>(a.data) + row * a.stride, to);
            } else {
                std::copy_n(static_cast<const float*>(a.data) + row * a.stride, a.cols, to);
            }
        }
        x = copy.data<float>();
    }
    const QuantisedRows quantised = quantise_activations(x, a.rows, a.cols, activation_order(weight));
    packed_product(weight, quantised, c.data<float>());
}

Tensor packed_embedding(const Tensor& ids, const PackedWeight& table) {
    const std::int64_t width = table.cols();
    Shape shape = ids.shape();
    shape.push_back(width);
    Tensor y = Tensor::empty(shape);
    for (const std::int32_t id : ids.values<std::int32_t>())
        ensure(id >= 0 && id < table.rows(), "token id {} of a vocabulary of {}", id, table.rows());
    constexpr std::int64_t grain = 16;  // tokens
    parallel_for(ids.size(), grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t id = ids.data<std::int32_t>()[i];
            table.decode(id, id + 1, y.data<float>() + i * width);
        }
    });
    return y;
}

}  // namespace jlcm::cpu
