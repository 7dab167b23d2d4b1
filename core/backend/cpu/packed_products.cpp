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
    const std::int64_t largest_part = weight.products() != Products::exact ? 16 << 20 : 96 << 20;  // bytes
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

namespace {

/// Whether rounding leaves so much of a row that it is worth a second product. A row of normal activations leaves 0.007 of
/// its length, one with a few that are larger than all others together 0.03.
bool leaves_much(const float* row, const float* remainder, std::int64_t cols) {
    constexpr double most = 0.012;
    double whole = 0;
    double left = 0;
    for (std::int64_t j = 0; j < cols; ++j) {
        whole += static_cast<double>(row[j]) * static_cast<double>(row[j]);
        left += static_cast<double>(remainder[j]) * static_cast<double>(remainder[j]);
    }
    return left > most * most * whole;
}

/// y = x W^T with x in 8 bits, and where these leave much, with what they leave as rows of their own, in 8 bits again.
void multiply_rounded(const float* x, std::int64_t rows, const CodedRows& weight, float* y) {
    const std::int64_t cols = weight.cols;
    const ActivationOrder order = activation_order(weight);
    Tensor all = Tensor::empty({2 * rows, cols});  // x, then remainders
    float* remainders = all.data<float>() + rows * cols;
    const QuantisedRows rounded = quantise_activations(x, rows, cols, order);
    rounding_remainder(x, rounded, remainders);
    std::vector<std::int64_t> refined;
    for (std::int64_t row = 0; row < rows; ++row) {
        if (!leaves_much(x + row * cols, remainders + row * cols, cols)) continue;
        const auto place = static_cast<std::int64_t>(refined.size());
        if (place < row) std::copy_n(remainders + row * cols, cols, remainders + place * cols);
        refined.push_back(row);
    }
    if (refined.empty()) return packed_product(weight, rounded, y);
    const std::int64_t count = rows + static_cast<std::int64_t>(refined.size());
    std::copy_n(x, rows * cols, all.data<float>());
    QuantisedRows both = quantise_activations(all.data<float>(), count, cols, order);
    // What tables add to the sum of x is in the first product as a whole.
    std::ranges::fill(both.sums.values<float>().subspan(static_cast<std::size_t>(rows * both.blocks)), 0.0F);
    Tensor products = Tensor::empty({count, weight.rows});
    packed_product(weight, both, products.data<float>());
    std::copy_n(products.data<float>(), rows * weight.rows, y);
    for (std::size_t i = 0; i < refined.size(); ++i) {
        const float* more = products.data<float>() + (rows + static_cast<std::int64_t>(i)) * weight.rows;
        float* row = y + refined[i] * weight.rows;
        for (std::int64_t j = 0; j < weight.rows; ++j) row[j] += more[j];
    }
}

}  // namespace

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
    multiply_rounded(x, a.rows, weight, c.data<float>());
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
