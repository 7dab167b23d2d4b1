#include "plugins/solver/aqlm/aqlm.hpp"

#include "core/backend/backend.hpp"
#include "core/backend/cpu/dense_kernels.hpp"
#include "core/backend/cpu/kmeans_kernels.hpp"
#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/damped_moments.hpp"
#include "core/codebook/vector_codebooks.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace jlcm {
namespace {

constexpr std::int64_t row_grain = 4;

class Aqlm {
  public:
    Aqlm(const LayerProblem& problem, CompressedMatrix& matrix, const AqlmParameters& parameters,
         Backend& backend)
        : matrix_(matrix),
          parameters_(parameters),
          backend_(backend),
          rows_(matrix.layout.rows),
          cols_(matrix.layout.cols),
          d_(matrix.layout.dimension),
          stages_(matrix.layout.residual),
          k_(matrix.layout.codewords()),
          groups_(matrix.layout.group_map()) {
        const auto sets = problem.row_sets();
        for (const RowSet& set : sets)
            moments_.push_back(damp(set.second_moments, problem.samples, parameters.damping, log_.notes));
        const auto rows_of_sets = stored_rows(sets, matrix);
        set_of_row_.resize(static_cast<std::size_t>(rows_));
        for (std::size_t set = 0; set < sets.size(); ++set)
            for (const std::int64_t row : rows_of_sets[set]) set_of_row_[static_cast<std::size_t>(row)] = set;
        padded_ = moments_.front().cols;
        const Tensor weights = to_stored_order(problem.weights, matrix.row_order);
        target_ = Tensor::zeros({rows_, padded_});
        for (std::int64_t row = 0; row < rows_; ++row)
            std::copy_n(weights.data<float>() + row * cols_, cols_, target_.data<float>() + row * padded_);
    }

    SolverLog run() {
        log_.objective.push_back(objective(errors()));
        for (int round = 0; round < parameters_.rounds; ++round) {
            for (int cycle = 0; cycle < parameters_.cycles; ++cycle) search_codes();
            fit_codebooks();
            fit_scales();
            log_.objective.push_back(objective(errors()));
        }
        return log_;
    }

  private:
    [[nodiscard]] float scale(std::int64_t row) const { return matrix_.scale(groups_.group_of_row(row)); }
    [[nodiscard]] const std::uint8_t* codes(int stage, std::int64_t row) const {
        return matrix_.mapping.data<std::uint8_t>() + (stage * rows_ + row) * (cols_ / d_);
    }
    [[nodiscard]] const Tensor& second_moments(std::int64_t row) const {
        return moments_[set_of_row_[static_cast<std::size_t>(row)]].matrix;
    }

    /// scale * sum of codewords of `codebooks`, [rows, padded].
    [[nodiscard]] Tensor reconstruct(const Tensor& codebooks) const {
        Tensor result = Tensor::zeros({rows_, padded_});
        parallel_for(rows_, row_grain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row) {
                float* out = result.data<float>() + row * padded_;
                for (int stage = 0; stage < stages_; ++stage) {
                    const float* book = codebooks.data<float>() + stage * k_ * d_;
                    const std::uint8_t* code = codes(stage, row);
                    for (std::int64_t p = 0; p < cols_ / d_; ++p)
                        for (std::int64_t e = 0; e < d_; ++e) out[p * d_ + e] += book[code[p] * d_ + e];
                }
                for (std::int64_t j = 0; j < cols_; ++j) out[j] *= scale(row);
            }
        });
        return result;
    }

    [[nodiscard]] Tensor errors() const {
        Tensor result = reconstruct(matrix_.codebooks);
        backend_.add_scaled(result, target_, -1.0);
        return result;
    }

    /// x H, each row with its own second moments.
    [[nodiscard]] Tensor times_moments(const Tensor& x) const {
        if (moments_.size() == 1)
            return backend_.product(x, Transpose::no, moments_[0].matrix, Transpose::no);
        Tensor result = Tensor::empty(x.shape());
        for (std::size_t set = 0; set < moments_.size(); ++set) {
            const Tensor all = backend_.product(x, Transpose::no, moments_[set].matrix, Transpose::no);
            for (std::int64_t row = 0; row < rows_; ++row)
                if (set_of_row_[static_cast<std::size_t>(row)] == set)
                    std::copy_n(all.data<float>() + row * padded_, padded_,
                                result.data<float>() + row * padded_);
        }
        return result;
    }

    [[nodiscard]] double objective(const Tensor& errors) const {
        return backend_.dot(errors, times_moments(errors));
    }

    /// One pass of coordinate descent over all codes.
    void search_codes() {
        // lengths[set][stage][p][k] = c_k^T H_pp c_k
        std::vector<Tensor> lengths;
        std::vector<std::vector<float>> columns;
        for (int stage = 0; stage < stages_; ++stage) {
            columns.push_back(codebook_columns(matrix_.codebooks.data<float>() + stage * k_ * d_, k_, d_));
            for (const auto& moments : moments_) lengths.push_back(quadratic_lengths(stage, moments.matrix));
        }
        Tensor gradient = times_moments(errors());
        parallel_for(rows_, row_grain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row) {
                const float s = scale(row);
                if (s == 0) continue;
                search_row(row, s, gradient.data<float>() + row * padded_, lengths, columns);
            }
        });
    }

    void search_row(std::int64_t row, float s, float* gradient, const std::vector<Tensor>& lengths,
                    const std::vector<std::vector<float>>& columns) {
        const auto& kernels = kmeans_kernels();
        const auto& dense = dense_kernels<float>();
        const float* h = second_moments(row).data<float>();
        const std::size_t set = set_of_row_[static_cast<std::size_t>(row)];
        std::array<float, 64> slope{};
        for (std::int64_t p = 0; p < cols_ / d_; ++p) {
            for (int stage = 0; stage < stages_; ++stage) {
                const float* book = matrix_.codebooks.data<float>() + stage * k_ * d_;
                std::uint8_t& code =
                    matrix_.mapping.data<std::uint8_t>()[(stage * rows_ + row) * (cols_ / d_) + p];
                const float* present = book + code * d_;
                // Of s^2 c^T H_pp c + 2 s c^T (g_p - s H_pp c_present), over s^2.
                for (std::int64_t e = 0; e < d_; ++e) {
                    float own = 0;
                    const float* line = h + (p * d_ + e) * padded_ + p * d_;
                    for (std::int64_t f = 0; f < d_; ++f) own += line[f] * present[f];
                    slope[static_cast<std::size_t>(e)] = gradient[p * d_ + e] / s - own;
                }
                const Tensor& length = lengths[static_cast<std::size_t>(stage) * moments_.size() + set];
                const std::int32_t best =
                    kernels.best_codeword(k_, d_, columns[static_cast<std::size_t>(stage)].data(),
                                          slope.data(), length.data<float>() + p * k_);
                if (best == code) continue;
                for (std::int64_t e = 0; e < d_; ++e)
                    dense.add_scaled(padded_, h + (p * d_ + e) * padded_,
                                     s * (book[best * d_ + e] - present[e]), gradient);
                code = static_cast<std::uint8_t>(best);
            }
        }
    }

    [[nodiscard]] Tensor quadratic_lengths(int stage, const Tensor& h) const {
        Tensor result = Tensor::zeros({cols_ / d_, k_});
        const float* book = matrix_.codebooks.data<float>() + stage * k_ * d_;
        parallel_for(cols_ / d_, 8, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t p = begin; p < end; ++p) {
                for (std::int64_t k = 0; k < k_; ++k) {
                    float total = 0;
                    for (std::int64_t e = 0; e < d_; ++e) {
                        const float* line = h.data<float>() + (p * d_ + e) * padded_ + p * d_;
                        float sum = 0;
                        for (std::int64_t f = 0; f < d_; ++f) sum += line[f] * book[k * d_ + f];
                        total += sum * book[k * d_ + e];
                    }
                    result.data<float>()[p * k_ + k] = total;
                }
            }
        });
        return result;
    }

    /// The gradient of codebooks from that of the reconstruction: sums over the places of each codeword. Rows
    /// are summed in order, stages at once.
    [[nodiscard]] Tensor gather(const Tensor& slopes) const {
        Tensor result = Tensor::zeros({stages_, k_, d_});
        parallel_for(stages_, 1, [&](std::int64_t stage, std::int64_t) {
            std::vector<double> sum(static_cast<std::size_t>(k_ * d_), 0.0);
            for (std::int64_t row = 0; row < rows_; ++row) {
                const std::uint8_t* code = codes(static_cast<int>(stage), row);
                const float* slope = slopes.data<float>() + row * padded_;
                const auto s = static_cast<double>(scale(row));
                for (std::int64_t p = 0; p < cols_ / d_; ++p)
                    for (std::int64_t e = 0; e < d_; ++e)
                        sum[static_cast<std::size_t>(code[p] * d_ + e)] +=
                            s * static_cast<double>(slope[p * d_ + e]);
            }
            std::ranges::transform(sum, result.data<float>() + stage * k_ * d_,
                                   [](double v) { return static_cast<float>(v); });
        });
        return result;
    }

    /// Diagonal of the codebooks' normal equations, a preconditioner; 1 where a codeword is not used.
    [[nodiscard]] Tensor normal_diagonal() const {
        Tensor squares = Tensor::zeros({rows_, padded_});
        for (std::int64_t row = 0; row < rows_; ++row)
            for (std::int64_t j = 0; j < cols_; ++j)
                squares.data<float>()[row * padded_ + j] =
                    scale(row) * second_moments(row).data<float>()[j * padded_ + j];
        Tensor result = gather(squares);
        for (float& v : result.values<float>()) v = v > 0 ? v : 1.0F;
        return result;
    }

    /// Codebooks by preconditioned conjugate gradients on e H e^T, from the present ones.
    void fit_codebooks() {
        const Shape shape{stages_, k_, d_};
        Tensor books = matrix_.codebooks.reshape(shape).clone();
        const Tensor present = errors();
        const Tensor present_slopes = times_moments(present);
        const double before = backend_.dot(present, present_slopes);
        const Tensor diagonal = normal_diagonal();
        const auto preconditioned = [&](const Tensor& x) {
            Tensor y = x.clone();
            for (std::int64_t i = 0; i < y.size(); ++i) y.data<float>()[i] /= diagonal.data<float>()[i];
            return y;
        };
        Tensor rest = gather(present_slopes);  // minus the gradient's half
        for (float& v : rest.values<float>()) v = -v;
        Tensor step = preconditioned(rest);
        Tensor direction = step.clone();
        double product = backend_.dot(rest, step);
        for (int i = 0; i < parameters_.codebook_steps && product > 0; ++i) {
            const Tensor moved = reconstruct(direction);
            const Tensor slopes = times_moments(moved);
            const double curvature = backend_.dot(moved, slopes);
            if (!(curvature > 0)) break;
            backend_.add_scaled(books, direction, product / curvature);
            backend_.add_scaled(rest, gather(slopes), -product / curvature);
            step = preconditioned(rest);
            const double next = backend_.dot(rest, step);
            Tensor turned = step.clone();
            backend_.add_scaled(turned, direction, next / product);
            direction = turned;
            product = next;
        }
        for (float& v : books.values<float>()) v = f16_rounded(v);
        Tensor former = std::exchange(matrix_.codebooks, books.reshape(matrix_.codebooks.shape()));
        if (!(objective(errors()) <= before)) matrix_.codebooks = former;
    }

    /// Each scale's best value for its rows, kept where it is positive.
    void fit_scales() {
        if (!matrix_.scales.defined()) return;
        const Tensor present = reconstruct(matrix_.codebooks);
        const Tensor slopes = times_moments(present);
        std::vector<double> curvature(static_cast<std::size_t>(matrix_.scales.size()), 0.0);
        std::vector<double> overlap(curvature.size(), 0.0);
        for (std::int64_t row = 0; row < rows_; ++row) {
            const auto g = static_cast<std::size_t>(groups_.group_of_row(row));
            for (std::int64_t j = row * padded_; j < row * padded_ + cols_; ++j) {
                const auto slope = static_cast<double>(slopes.data<float>()[j]);
                curvature[g] += static_cast<double>(present.data<float>()[j]) * slope;
                overlap[g] += static_cast<double>(target_.data<float>()[j]) * slope;
            }
        }
        for (std::size_t g = 0; g < curvature.size(); ++g) {
            float& scale = matrix_.scales.values<float>()[g];
            const auto factor = static_cast<float>(curvature[g] > 0 ? overlap[g] / curvature[g] : 1.0);
            const float fitted = f16_rounded(scale * factor);
            // e^2 as a function of the factor is a parabola; rounding may leave it on the wrong side.
            const double from = 1.0 - static_cast<double>(factor);
            const double to = scale > 0 ? static_cast<double>(fitted / scale - factor) : 0.0;
            if (fitted > 0 && std::abs(to) <= std::abs(from)) scale = fitted;
        }
    }

    CompressedMatrix& matrix_;
    const AqlmParameters& parameters_;
    Backend& backend_;
    std::int64_t rows_;
    std::int64_t cols_;
    std::int64_t padded_ = 0;
    std::int64_t d_;
    int stages_;
    int k_;
    GroupMap groups_;
    std::vector<DampedMoments> moments_;
    std::vector<std::size_t> set_of_row_;  ///< of stored rows
    Tensor target_;                        ///< stored order, padded
    SolverLog log_;
};

}  // namespace

SolverLog solve_aqlm(const LayerProblem& problem, CompressedMatrix& matrix, const AqlmParameters& parameters,
                     Backend& backend) {
    const Layout& layout = matrix.layout;
    begin_solving("aqlm", problem, matrix,
                  has_one_vector_codebook(layout) && !matrix.offsets.defined() && matrix.outliers.empty(),
                  "one codebook for the matrix (grouping: vectors), without outliers");
    SolverLog log = Aqlm(problem, matrix, parameters, backend).run();
    if (layout.dimension == 1) (void)sort_codewords(matrix);
    return log;
}

}  // namespace jlcm
