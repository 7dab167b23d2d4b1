#include "core/backend/cpu/rounding.hpp"

#include "core/backend/cpu/solver_kernels.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm::cpu {
namespace {

constexpr std::int64_t grain_weights = 1 << 14;

/// Calls body(row, low values, gaps) for every row.
template <class Body>
void for_each_row(const CodedMatrix& matrix, const Tensor& low_codes, Body body) {
    const std::int64_t grain = std::max<std::int64_t>(1, grain_weights / matrix.cols);
    parallel_for(matrix.rows, grain, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> low(static_cast<std::size_t>(matrix.cols));
        std::vector<float> gap(low.size());
        for (std::int64_t row = begin; row < end; ++row) {
            const float* tables =
                matrix.tables + matrix.table_of_row[row] * matrix.segments() * matrix.codewords;
            const std::uint8_t* codes = low_codes.data<std::uint8_t>() + row * matrix.cols;
            for (std::int64_t j = 0; j < matrix.cols; ++j) {
                const float* table = tables + j / matrix.segment * matrix.codewords;
                low[static_cast<std::size_t>(j)] = table[codes[j]];
                gap[static_cast<std::size_t>(j)] = table[codes[j] + 1] - table[codes[j]];
            }
            body(row, low.data(), gap.data());
        }
    });
}

}  // namespace

void soft_rounding(const CodedMatrix& matrix, const Tensor& low_codes, const Tensor& v, Tensor& out) {
    const std::vector<float> nothing(static_cast<std::size_t>(matrix.cols), 0.0F);
    for_each_row(matrix, low_codes, [&](std::int64_t row, const float* low, const float* gap) {
        solver_kernels().soft_errors(matrix.cols, v.data<float>() + row * matrix.cols, low, gap,
                                     nothing.data(), out.data<float>() + row * matrix.cols);
    });
}

void rounding_step(const CodedMatrix& matrix, const Tensor& low_codes, const Tensor& gradient,
                   const RoundingStep& step, Tensor& v, Tensor& first_moment, Tensor& second_moment,
                   std::vector<std::int64_t>& jumps) {
    std::vector<std::int64_t> moved(static_cast<std::size_t>(matrix.rows), 0);
    for_each_row(matrix, low_codes, [&](std::int64_t row, const float*, const float* gap) {
        const std::int64_t at = row * matrix.cols;
        solver_kernels().round_step(matrix.cols, step, gradient.data<float>() + at, gap, v.data<float>() + at,
                                    first_moment.data<float>() + at, second_moment.data<float>() + at);
        for (std::int64_t j = at; j < at + matrix.cols; ++j) {
            const auto code = static_cast<std::uint8_t>(low_codes.data<std::uint8_t>()[j] +
                                                        (v.data<float>()[j] >= 0 ? 1 : 0));
            moved[static_cast<std::size_t>(row)] += code != matrix.codes[j] ? 1 : 0;
            matrix.codes[j] = code;
        }
    });
    if (jumps.empty()) jumps.resize(1, 0);
    for (const std::int64_t count : moved) jumps[0] += count;
}

}  // namespace jlcm::cpu
