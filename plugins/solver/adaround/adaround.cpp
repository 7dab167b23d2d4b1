#include "plugins/solver/adaround/adaround.hpp"

#include "core/backend/backend.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/damped_moments.hpp"
#include "plugins/solver/adaround/learned_rounding.hpp"
#include "plugins/solver/adaround/rounding_kernels.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

constexpr std::int64_t chunk_rows = 512;  // rows that learn together: bounds memory
constexpr std::int64_t element_grain = 1 << 14;

/// Some rows that share second moments, by their places in the stored order.
class Rounding {
  public:
    Rounding(const Tensor& weights, std::vector<std::int64_t> rows, CompressedMatrix& matrix,
             const DampedMoments& moments, const AdaRoundParameters& parameters, Backend& backend)
        : matrix_(matrix),
          moments_(moments),
          parameters_(parameters),
          backend_(backend),
          kernels_(rounding_kernels()),
          groups_(matrix.layout.group_map()),
          rows_(std::move(rows)),
          cols_(matrix.layout.cols),
          shape_({static_cast<std::int64_t>(rows_.size()), moments.cols}),
          target_(Tensor::zeros(shape_)),
          low_(Tensor::zeros(shape_)),
          gap_(Tensor::zeros(shape_)),
          v_(Tensor::zeros(shape_)),
          low_codes_(static_cast<std::size_t>(target_.size()), std::uint8_t{0}) {
        find_neighbours(weights);
    }

    /// Learns, rounds, keeps what is better; returns the objective before and after.
    std::pair<double, double> run() {
        const std::vector<double> before = objectives(present_errors());
        learn();
        const std::vector<double> after = objectives(rounded_errors());
        std::pair<double, double> total;
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            total.first += before[i];
            total.second += std::min(before[i], after[i]);
            if (!(after[i] < before[i])) continue;
            const auto at = static_cast<std::int64_t>(i) * shape_[1];
            std::uint8_t* codes = matrix_.mapping.data<std::uint8_t>() + rows_[i] * cols_;
            for (std::int64_t j = 0; j < cols_; ++j)
                codes[j] = static_cast<std::uint8_t>(low_codes_[static_cast<std::size_t>(at + j)] +
                                                     (v_.data<float>()[at + j] >= 0 ? 1 : 0));
        }
        return total;
    }

  private:
    /// The codewords around each weight, and v where h gives the weight back.
    void find_neighbours(const Tensor& weights) {
        parallel_for(shape_[0], 8, [&](std::int64_t begin, std::int64_t end) {
            std::vector<float> values(static_cast<std::size_t>(matrix_.layout.codewords()));
            for (std::int64_t i = begin; i < end; ++i) {
                const std::int64_t row = rows_[static_cast<std::size_t>(i)];
                const float* from = weights.data<float>() + matrix_.model_row(row) * cols_;
                groups_.for_each_segment(row, [&](const Segment& segment) {
                    matrix_.group_values(segment.group, values);
                    for (std::int64_t j = segment.begin; j < segment.end; ++j) {
                        const std::int64_t at = i * shape_[1] + j;
                        const float w = from[j];
                        const auto above = std::upper_bound(values.begin() + 1, values.end() - 1, w);
                        const float gap = *above - *(above - 1);
                        target_.data<float>()[at] = w;
                        low_.data<float>()[at] = *(above - 1);
                        gap_.data<float>()[at] = gap;
                        low_codes_[static_cast<std::size_t>(at)] =
                            static_cast<std::uint8_t>(above - 1 - values.begin());
                        v_.data<float>()[at] = rounding_variable(*(above - 1), gap, w);
                    }
                });
            }
        });
    }

    [[nodiscard]] Tensor present_errors() const {
        std::vector<float> values(static_cast<std::size_t>(matrix_.layout.codewords()));
        Tensor errors = Tensor::zeros(shape_);
        for (std::int64_t i = 0; i < shape_[0]; ++i) {
            const std::int64_t row = rows_[static_cast<std::size_t>(i)];
            const std::uint8_t* codes = matrix_.mapping.data<std::uint8_t>() + row * cols_;
            groups_.for_each_segment(row, [&](const Segment& segment) {
                matrix_.group_values(segment.group, values);
                for (std::int64_t j = segment.begin; j < segment.end; ++j)
                    errors.data<float>()[i * shape_[1] + j] =
                        values[codes[j]] - target_.data<float>()[i * shape_[1] + j];
            });
        }
        return errors;
    }

    [[nodiscard]] Tensor rounded_errors() const {
        Tensor errors = Tensor::empty(shape_);
        for (std::int64_t i = 0; i < errors.size(); ++i)
            errors.data<float>()[i] = low_.data<float>()[i] +
                                      (v_.data<float>()[i] >= 0 ? gap_.data<float>()[i] : 0.0F) -
                                      target_.data<float>()[i];
        return errors;
    }

    /// e H e^T of each row.
    [[nodiscard]] std::vector<double> objectives(const Tensor& errors) const {
        const Tensor slopes = backend_.product(errors, Transpose::no, moments_.matrix, Transpose::no);
        std::vector<double> result(rows_.size(), 0.0);
        for (std::int64_t i = 0; i < errors.size(); ++i)
            result[static_cast<std::size_t>(i / shape_[1])] +=
                static_cast<double>(errors.data<float>()[i]) * static_cast<double>(slopes.data<float>()[i]);
        return result;
    }

    /// The mean over weights of H_jj (gap / 2)^2.
    [[nodiscard]] double unit() const {
        double total = 0;
        for (std::int64_t i = 0; i < gap_.size(); ++i) {
            const std::int64_t j = i % shape_[1];
            const auto half = static_cast<double>(gap_.data<float>()[i]) / 2;
            total += static_cast<double>(moments_.matrix.data<float>()[j * shape_[1] + j]) * half * half;
        }
        return total / static_cast<double>(shape_[0] * cols_);
    }

    void learn() {
        const double scale = unit();
        if (!(scale > 0)) return;
        Tensor first = Tensor::zeros(shape_);
        Tensor second = Tensor::zeros(shape_);
        Tensor errors = Tensor::empty(shape_);
        Tensor slopes = Tensor::empty(shape_);
        const int warmup = static_cast<int>(parameters_.warmup * parameters_.steps);
        for (int step = 0; step < parameters_.steps; ++step) {
            parallel_for(v_.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                kernels_.soft_errors(end - begin, v_.data<float>() + begin, low_.data<float>() + begin,
                                     gap_.data<float>() + begin, target_.data<float>() + begin,
                                     errors.data<float>() + begin);
            });
            backend_.gemm(matrix(errors), Transpose::no, matrix(moments_.matrix), Transpose::no, slopes,
                          false);
            const bool regularised = step >= warmup;
            const double done =
                regularised ? static_cast<double>(step - warmup) / std::max(1, parameters_.steps - warmup)
                            : 0;
            RoundingStep rounding =
                rounding_step_at(step, parameters_.rate, parameters_.first_beta, parameters_.last_beta, done);
            rounding.slope = static_cast<float>(2 / scale);
            rounding.regulariser = regularised ? static_cast<float>(parameters_.regulariser) : 0.0F;
            parallel_for(v_.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                kernels_.round_step(end - begin, rounding, slopes.data<float>() + begin,
                                    gap_.data<float>() + begin, v_.data<float>() + begin,
                                    first.data<float>() + begin, second.data<float>() + begin);
            });
        }
    }

    CompressedMatrix& matrix_;
    const DampedMoments& moments_;
    const AdaRoundParameters& parameters_;
    Backend& backend_;
    const RoundingKernels& kernels_;
    GroupMap groups_;
    std::vector<std::int64_t> rows_;
    std::int64_t cols_;
    Shape shape_;  ///< rows here, padded columns: padding has no gap
    Tensor target_, low_, gap_, v_;
    std::vector<std::uint8_t> low_codes_;
};

}  // namespace

SolverLog solve_adaround(const LayerProblem& problem, CompressedMatrix& matrix,
                         const AdaRoundParameters& parameters, Backend& backend) {
    const Layout& layout = matrix.layout;
    begin_solving("adaround", problem, matrix,
                  layout.dimension == 1 && layout.residual == 1 && matrix.outliers.empty(),
                  "scalar codewords in one stage, without outliers");
    require_positive_scales(problem.name, matrix);
    SolverLog log;
    log.objective = {0.0, 0.0};
    const auto sets = problem.row_sets();
    const auto rows_of_sets = stored_rows(sets, matrix);
    for (std::size_t set = 0; set < sets.size(); ++set) {
        const auto& rows = rows_of_sets[set];
        if (rows.empty()) continue;
        const DampedMoments moments =
            damp(sets[set].second_moments, problem.samples, parameters.damping, log.notes);
        for (std::size_t first = 0; first < rows.size(); first += chunk_rows) {
            const auto from = rows.begin() + static_cast<std::ptrdiff_t>(first);
            const auto to = rows.begin() + static_cast<std::ptrdiff_t>(
                                               std::min(rows.size(), first + std::size_t{chunk_rows}));
            const auto [before, after] =
                Rounding(problem.weights, {from, to}, matrix, moments, parameters, backend).run();
            log.objective[0] += before;
            log.objective[1] += after;
        }
    }
    return log;
}

}  // namespace jlcm
