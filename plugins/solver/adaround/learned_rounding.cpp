#include "plugins/solver/adaround/learned_rounding.hpp"

#include "core/backend/cpu/isa.hpp"
#include "core/base/parallel.hpp"
#include "plugins/solver/adaround/rounding_kernels.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {

JLCM_DECLARE_KERNELS(RoundingKernels, rounding)

const RoundingKernels& rounding_kernels() {
    return JLCM_SELECT_KERNELS(rounding);
}

namespace {

constexpr std::int64_t grain_weights = 1 << 14;

/// Calls body(row, low values, gaps) for every row.
template <class Body>
void for_each_row(const CodedMatrix& matrix, const Tensor& low_codes, Body body) {
    const std::int64_t grain = std::max<std::int64_t>(1, grain_weights / matrix.cols());
    parallel_for(matrix.rows(), grain, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> low(static_cast<std::size_t>(matrix.cols()));
        std::vector<float> gap(low.size());
        for (std::int64_t row = begin; row < end; ++row) {
            const std::uint8_t* codes = low_codes.data<std::uint8_t>() + row * matrix.cols();
            matrix.groups->for_each_segment(row, [&](const Segment& segment) {
                const float* table = matrix.table(segment.group);
                for (std::int64_t j = segment.begin; j < segment.end; ++j) {
                    low[static_cast<std::size_t>(j)] = table[codes[j]];
                    gap[static_cast<std::size_t>(j)] = table[codes[j] + 1] - table[codes[j]];
                }
            });
            body(row, low.data(), gap.data());
        }
    });
}

}  // namespace

float rounding_variable(float low, float gap, float weight) {
    const float share = gap > 0 ? std::clamp((weight - low) / gap, 0.01F, 0.99F) : 0.5F;
    const float s = (share + rounding_overhang) / rounding_stretch;
    return std::log(s / (1 - s));
}

RoundingStep rounding_step_at(std::int64_t number, double rate, int first_beta, int last_beta, double done) {
    const auto count = static_cast<double>(number + 1);
    return {.beta = static_cast<int>(std::lround(first_beta + done * (last_beta - first_beta))),
            .rate = static_cast<float>(rate),
            .correction1 = static_cast<float>(1 / (1 - std::pow(0.9, count))),
            .correction2 = static_cast<float>(1 / (1 - std::pow(0.999, count)))};
}

void soft_rounding(const CodedMatrix& matrix, const Tensor& low_codes, const Tensor& v, Tensor& out) {
    const std::vector<float> nothing(static_cast<std::size_t>(matrix.cols()), 0.0F);
    for_each_row(matrix, low_codes, [&](std::int64_t row, const float* low, const float* gap) {
        rounding_kernels().soft_errors(matrix.cols(), v.data<float>() + row * matrix.cols(), low, gap,
                                       nothing.data(), out.data<float>() + row * matrix.cols());
    });
}

void rounding_step(const CodedMatrix& matrix, const Tensor& low_codes, const Tensor& gradient,
                   const RoundingStep& step, Tensor& v, Tensor& first_moment, Tensor& second_moment,
                   std::vector<std::int64_t>& jumps) {
    std::vector<std::int64_t> moved(static_cast<std::size_t>(matrix.rows()), 0);
    for_each_row(matrix, low_codes, [&](std::int64_t row, const float*, const float* gap) {
        const std::int64_t at = row * matrix.cols();
        rounding_kernels().round_step(matrix.cols(), step, gradient.data<float>() + at, gap,
                                      v.data<float>() + at, first_moment.data<float>() + at,
                                      second_moment.data<float>() + at);
        for (std::int64_t j = at; j < at + matrix.cols(); ++j) {
            const auto code = static_cast<std::uint8_t>(low_codes.data<std::uint8_t>()[j] +
                                                        (v.data<float>()[j] >= 0 ? 1 : 0));
            moved[static_cast<std::size_t>(row)] += code != matrix.codes[j] ? 1 : 0;
            matrix.codes[j] = code;
        }
    });
    if (jumps.empty()) jumps.resize(1, 0);
    for (const std::int64_t count : moved) jumps[0] += count;
}

}  // namespace jlcm
