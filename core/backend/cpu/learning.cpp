#include "core/backend/cpu/learning.hpp"

#include "core/backend/cpu/learning_kernels.hpp"
#include "core/base/half.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <array>

namespace jlcm {

JLCM_DECLARE_KERNELS(LearningKernels, learning)

const LearningKernels& learning_kernels() {
    return JLCM_SELECT_KERNELS(learning);
}

namespace cpu {
namespace {

constexpr std::int64_t weights_per_task = 1 << 15;

std::int64_t row_grain(const CodedMatrix& matrix) {
    return std::max<std::int64_t>(1, weights_per_task / std::max<std::int64_t>(matrix.cols(), 1));
}

}  // namespace

void decode_codes(const CodedMatrix& matrix, Tensor& out) {
    ensure(out.size() == matrix.size(), "{} x {} codes into {}", matrix.rows(), matrix.cols(),
           shown(out.shape()));
    const auto& kernels = learning_kernels();
    const bool narrow = out.dtype() == DType::bf16;
    parallel_for(matrix.rows(), row_grain(matrix), [&](std::int64_t begin, std::int64_t end) {
        std::array<std::uint16_t, 256> rounded{};
        for (std::int64_t row = begin; row < end; ++row) {
            matrix.groups->for_each_segment(row, [&](const Segment& segment) {
                const float* table = matrix.table(segment.group);
                const std::uint8_t* codes = matrix.codes + segment.first;
                if (narrow) {
                    std::transform(table, table + matrix.codewords, rounded.begin(), bf16_from_float);
                    kernels.decode_bfloat16(segment.size(), codes, rounded.data(),
                                            out.data<std::uint16_t>() + segment.first);
                } else {
                    kernels.decode(segment.size(), codes, table, out.data<float>() + segment.first);
                }
            });
        }
    });
}

Tensor table_gradient(const CodedMatrix& matrix, const Tensor& gradient, std::int64_t tables) {
    ensure(gradient.size() == matrix.size(), "a gradient {} for a coded matrix {} x {}",
           shown(gradient.shape()), matrix.rows(), matrix.cols());
    const std::int64_t row_sums = matrix.groups->column_groups() * matrix.codewords;
    Tensor partial = Tensor::zeros({matrix.rows(), row_sums});
    const auto& kernels = learning_kernels();
    parallel_for(matrix.rows(), row_grain(matrix), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            float* sums = partial.data<float>() + row * row_sums;
            matrix.groups->for_each_segment(row, [&](const Segment& segment) {
                kernels.table_gradient(segment.size(), matrix.codewords, matrix.codes + segment.first,
                                       gradient.data<float>() + segment.first, sums);
                sums += matrix.codewords;
            });
        }
    });
    Tensor total = Tensor::zeros({tables, matrix.codewords});
    const float* sums = partial.data<float>();
    matrix.groups->for_each_segment([&](const Segment& segment) {
        float* out = total.data<float>() + segment.group * matrix.codewords;
        for (int k = 0; k < matrix.codewords; ++k) out[k] += sums[k];
        sums += matrix.codewords;
    });
    return total;
}

void adam(Tensor& value, const Tensor& gradient, const AdamStep& adam, std::span<const double> rates,
          Tensor& first_moment, Tensor& second_moment) {
    ensure(!rates.empty() && value.size() % static_cast<std::int64_t>(rates.size()) == 0 &&
               gradient.size() == value.size(),
           "Adam with {} rates for {} values", rates.size(), value.size());
    const std::int64_t part = value.size() / static_cast<std::int64_t>(rates.size());
    for (std::size_t i = 0; i < rates.size(); ++i) {
        AdamStep scaled = adam;
        scaled.rate *= static_cast<float>(rates[i]);
        const std::int64_t first = static_cast<std::int64_t>(i) * part;
        learning_kernels().adam(part, &scaled, gradient.data<float>() + first, value.data<float>() + first,
                                first_moment.data<float>() + first, second_moment.data<float>() + first);
    }
}

}  // namespace cpu
}  // namespace jlcm
