#include "core/backend/cpu/learning.hpp"

#include "core/backend/cpu/learning_kernels.hpp"
#include "core/base/half.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <array>

namespace jlcm {

namespace isa_v2 {
extern const LearningKernels learning;
}
namespace isa_v3 {
extern const LearningKernels learning;
}
namespace isa_v4 {
extern const LearningKernels learning;
}

const LearningKernels& learning_kernels() {
    return select_isa(isa_v2::learning, isa_v3::learning, isa_v4::learning);
}

namespace cpu {
namespace {

constexpr std::int64_t weights_per_task = 1 << 15;

/// A stretch of a row that reads one table.
struct Stretch {
    std::int64_t first;  ///< element of the matrix
    std::int64_t count;
    std::int64_t table;
};

std::int64_t row_grain(const CodedMatrix& matrix) {
    return std::max<std::int64_t>(1, weights_per_task / std::max<std::int64_t>(matrix.cols, 1));
}

template <class Body>
void for_stretches(const CodedMatrix& matrix, std::int64_t row, Body body) {
    const std::int64_t segments = matrix.segments();
    for (std::int64_t s = 0; s < segments; ++s) {
        const std::int64_t column = s * matrix.segment;
        body(Stretch{row * matrix.cols + column, std::min(matrix.segment, matrix.cols - column),
                     matrix.table_of_row[row] * segments + s});
    }
}

void check(const CodedMatrix& matrix, const Tensor& gradient) {
    ensure(gradient.size() == matrix.rows * matrix.cols, "a gradient {} for a coded matrix {} x {}",
           to_string(gradient.shape()), matrix.rows, matrix.cols);
}

float spacing(const CodedMatrix& matrix, const float* table) {
    return matrix.codewords > 1
               ? (table[matrix.codewords - 1] - table[0]) / static_cast<float>(matrix.codewords - 1)
               : 0.0F;
}

/// Runs `body(stretch, jump counts of its task)` over all rows; counts are summed in the end.
template <class Body>
void step_stretches(const CodedMatrix& matrix, std::vector<std::int64_t>& jumps, Body body) {
    const auto lengths = static_cast<std::size_t>(std::max(matrix.codewords - 1, 1));
    jumps.resize(std::max(jumps.size(), lengths));
    const std::int64_t grain = row_grain(matrix);
    const auto tasks = static_cast<std::size_t>((matrix.rows + grain - 1) / grain);
    std::vector<std::vector<std::int64_t>> counts(tasks, std::vector<std::int64_t>(lengths));
    parallel_for(matrix.rows, grain, [&](std::int64_t begin, std::int64_t end) {
        std::int64_t* own = counts[static_cast<std::size_t>(begin / grain)].data();
        for (std::int64_t row = begin; row < end; ++row)
            for_stretches(matrix, row, [&](const Stretch& stretch) { body(stretch, own); });
    });
    for (const auto& count : counts)
        for (std::size_t j = 0; j < lengths; ++j) jumps[j] += count[j];
}

}  // namespace

void decode_codes(const CodedMatrix& matrix, Tensor& out) {
    ensure(out.size() == matrix.rows * matrix.cols, "{} x {} codes into {}", matrix.rows, matrix.cols,
           to_string(out.shape()));
    const auto& kernels = learning_kernels();
    const bool narrow = out.dtype() == DType::bf16;
    parallel_for(matrix.rows, row_grain(matrix), [&](std::int64_t begin, std::int64_t end) {
        std::array<std::uint16_t, 256> rounded{};
        for (std::int64_t row = begin; row < end; ++row) {
            for_stretches(matrix, row, [&](const Stretch& stretch) {
                const float* table = matrix.tables + stretch.table * matrix.codewords;
                if (narrow) {
                    std::transform(table, table + matrix.codewords, rounded.begin(), bf16_from_float);
                    kernels.decode_bfloat16(stretch.count, matrix.codes + stretch.first, rounded.data(),
                                            out.data<std::uint16_t>() + stretch.first);
                } else {
                    kernels.decode(stretch.count, matrix.codes + stretch.first, table,
                                   out.data<float>() + stretch.first);
                }
            });
        }
    });
}

Tensor table_gradient(const CodedMatrix& matrix, const Tensor& gradient, std::int64_t tables) {
    check(matrix, gradient);
    const std::int64_t row_sums = matrix.segments() * matrix.codewords;
    Tensor partial = Tensor::zeros({matrix.rows, row_sums});
    const auto& kernels = learning_kernels();
    parallel_for(matrix.rows, row_grain(matrix), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            float* sums = partial.data<float>() + row * row_sums;
            for_stretches(matrix, row, [&](const Stretch& stretch) {
                kernels.table_gradient(stretch.count, matrix.codewords, matrix.codes + stretch.first,
                                       gradient.data<float>() + stretch.first, sums);
                sums += matrix.codewords;
            });
        }
    });
    Tensor total = Tensor::zeros({tables, matrix.codewords});
    for (std::int64_t row = 0; row < matrix.rows; ++row) {
        const float* sums = partial.data<float>() + row * row_sums;
        float* out = total.data<float>() + matrix.table_of_row[row] * row_sums;
        for (std::int64_t i = 0; i < row_sums; ++i) out[i] += sums[i];
    }
    return total;
}

void nearest_step(const CodedMatrix& matrix, const Tensor& gradient, const AdamStep& adam, Tensor& latent,
                  Tensor& first_moment, Tensor& second_moment, std::vector<std::int64_t>& jumps) {
    check(matrix, gradient);
    const auto& kernels = learning_kernels();
    step_stretches(matrix, jumps, [&](const Stretch& stretch, std::int64_t* counts) {
        const float* table = matrix.tables + stretch.table * matrix.codewords;
        const float gap = spacing(matrix, table);
        AdamStep scaled = adam;
        scaled.rate *= gap;
        kernels.nearest_step(stretch.count, matrix.codewords, table, &scaled, table[0] - 0.5F * gap,
                             table[matrix.codewords - 1] + 0.5F * gap, gradient.data<float>() + stretch.first,
                             latent.data<float>() + stretch.first, first_moment.data<float>() + stretch.first,
                             second_moment.data<float>() + stretch.first, matrix.codes + stretch.first,
                             counts);
    });
}

void curvature_step(const CodedMatrix& matrix, const Tensor& gradient, const CurvatureStep& step,
                    const Tensor& curvature, Tensor& latent, Tensor& first_moment,
                    std::vector<std::int64_t>& jumps) {
    check(matrix, gradient);
    const bool by_column = curvature.size() == matrix.cols;
    ensure(by_column || curvature.size() == gradient.size(), "curvature {} for a coded matrix {} x {}",
           to_string(curvature.shape()), matrix.rows, matrix.cols);
    const auto& kernels = learning_kernels();
    step_stretches(matrix, jumps, [&](const Stretch& stretch, std::int64_t* counts) {
        const float* table = matrix.tables + stretch.table * matrix.codewords;
        CurvatureStep scaled = step;
        scaled.trust *= spacing(matrix, table);
        kernels.curvature_step(
            stretch.count, matrix.codewords, table, &scaled, gradient.data<float>() + stretch.first,
            curvature.data<float>() + (by_column ? stretch.first % matrix.cols : stretch.first),
            latent.data<float>() + stretch.first, first_moment.data<float>() + stretch.first,
            matrix.codes + stretch.first, counts);
    });
}

void score_step(const CodedMatrix& matrix, const Tensor& gradient, const ScoreStep& step, Scores& scores,
                std::vector<std::int64_t>& jumps) {
    check(matrix, gradient);
    const auto window = static_cast<int>(scores.value.shape().back());
    ensure(scores.value.size() == gradient.size() * window && window <= matrix.codewords,
           "scores {} for a coded matrix {} x {} of {} codewords", to_string(scores.value.shape()),
           matrix.rows, matrix.cols, matrix.codewords);
    const std::int64_t seconds = step.second_moment == SecondMoment::score ? window : 1;
    const auto& kernels = learning_kernels();
    step_stretches(matrix, jumps, [&](const Stretch& stretch, std::int64_t* counts) {
        const std::int64_t first = stretch.first * window;
        kernels.score_step(
            stretch.count, matrix.codewords, window, matrix.tables + stretch.table * matrix.codewords, &step,
            gradient.data<float>() + stretch.first, scores.value.data<float>() + first,
            scores.first_moment.data<float>() + first,
            scores.second_moment.defined() ? scores.second_moment.data<float>() + stretch.first * seconds
                                           : nullptr,
            matrix.codes + stretch.first, counts);
    });
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
