#include "core/codebook/vector_codebooks.hpp"

#include "core/backend/cpu/kmeans_kernels.hpp"
#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace jlcm {
namespace {

constexpr std::int64_t sample_a_codeword = 48;  // vectors that Lloyd's algorithm sees for each codeword
constexpr std::int64_t row_grain = 8;

/// One stage: vectors of the present residual, and what each of their elements counts.
class Stage {
  public:
    Stage(const Tensor& residual, const Tensor& importance, const Layout& layout)
        : residual_(residual),
          importance_(importance),
          d_(layout.dimension),
          k_(layout.codewords()),
          vectors_(residual.size() / d_) {}

    /// Lloyd's algorithm on a sample; returns [K, d].
    [[nodiscard]] Tensor cluster(const Rng& rng, int iterations) const {
        const auto order = rng.permutation(vectors_);
        const auto count = static_cast<std::size_t>(std::min(vectors_, sample_a_codeword * k_));
        Tensor codebook = Tensor::zeros({k_, d_});
        for (std::int64_t k = 0; k < std::min<std::int64_t>(k_, vectors_); ++k)
            std::copy_n(residual_.data<float>() + order[static_cast<std::size_t>(k)] * d_, d_,
                        codebook.data<float>() + k * d_);
        std::vector<std::int32_t> codes(count);
        for (int i = 0; i < iterations; ++i) {
            const std::vector<float> columns = codebook_columns(codebook.data<float>(), k_, d_);
            parallel_for(static_cast<std::int64_t>(count), 512, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t s = begin; s < end; ++s)
                    codes[static_cast<std::size_t>(s)] = nearest(order[static_cast<std::size_t>(s)], columns);
            });
            std::vector<double> sum(static_cast<std::size_t>(k_ * d_), 0.0);
            std::vector<double> weight(sum.size(), 0.0);
            for (std::size_t s = 0; s < count; ++s) {
                for (std::int64_t e = 0; e < d_; ++e) {
                    const auto at = static_cast<std::size_t>(codes[s] * d_ + e);
                    const std::int64_t from = order[s] * d_ + e;
                    const auto h = static_cast<double>(importance_.data<float>()[from]);
                    sum[at] += h * static_cast<double>(residual_.data<float>()[from]);
                    weight[at] += h;
                }
            }
            for (std::size_t at = 0; at < sum.size(); ++at)
                if (weight[at] > 0) codebook.data<float>()[at] = static_cast<float>(sum[at] / weight[at]);
        }
        for (float& c : codebook.values<float>()) c = f16_rounded(c);
        return codebook;
    }

    /// The nearest codeword of every vector into `codes`, taken from the residual.
    void assign(const Tensor& codebook, std::uint8_t* codes, Tensor& residual) const {
        const std::vector<float> columns = codebook_columns(codebook.data<float>(), k_, d_);
        parallel_for(vectors_, 512, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t v = begin; v < end; ++v) {
                const std::int32_t code = nearest(v, columns);
                codes[v] = static_cast<std::uint8_t>(code);
                for (std::int64_t e = 0; e < d_; ++e)
                    residual.data<float>()[v * d_ + e] -= codebook.data<float>()[code * d_ + e];
            }
        });
    }

  private:
    [[nodiscard]] std::int32_t nearest(std::int64_t vector, const std::vector<float>& columns) const {
        std::array<float, 256> lengths{};  // sum_e h_e c_ke^2
        std::array<float, 64> slope{};
        for (std::int64_t e = 0; e < d_; ++e) {
            const float h = importance_.data<float>()[vector * d_ + e];
            slope[static_cast<std::size_t>(e)] = -h * residual_.data<float>()[vector * d_ + e];
            const float* column = columns.data() + e * k_;
            for (std::int64_t k = 0; k < k_; ++k)
                lengths[static_cast<std::size_t>(k)] += h * column[k] * column[k];
        }
        return kmeans_kernels().best_codeword(k_, d_, columns.data(), slope.data(), lengths.data());
    }

    const Tensor& residual_;
    const Tensor& importance_;
    std::int64_t d_;
    int k_;
    std::int64_t vectors_;
};

}  // namespace

std::vector<float> codebook_columns(const float* codebook, std::int64_t words, std::int64_t dimension) {
    std::vector<float> columns(static_cast<std::size_t>(words * dimension));
    for (std::int64_t k = 0; k < words; ++k)
        for (std::int64_t e = 0; e < dimension; ++e)
            columns[static_cast<std::size_t>(e * words + k)] = codebook[k * dimension + e];
    return columns;
}

bool has_one_vector_codebook(const Layout& layout) {
    return layout.column_group == 0 && (layout.shared_codebook || layout.row_groups == 1) &&
           layout.dimension <= 64;
}

CompressedMatrix fill_vector_codebooks(const LayerProblem& problem, const GroupedRows& grouped,
                                       const ImportanceOfRow& importance, int iterations) {
    problem.validate();
    const Layout& layout = grouped.layout;
    layout.validate(problem.name);
    require(has_one_vector_codebook(layout),
            "{}: vector codewords come in one codebook for the matrix (grouping: vectors)", problem.name);
    require(problem.weights.rows() == layout.rows && problem.weights.cols() == layout.cols,
            "{}: weights {} for a layout of {} x {}", problem.name, to_string(problem.weights.shape()),
            layout.rows, layout.cols);
    CompressedMatrix matrix = CompressedMatrix::zeros(layout);
    matrix.row_order = grouped.row_order;
    Tensor residual = to_stored_order(problem.weights, matrix.row_order).clone();
    Tensor counts = Tensor::empty({layout.rows, layout.cols});
    const GroupMap groups = layout.group_map();
    if (layout.shared_codebook) {
        std::vector<double> squares(static_cast<std::size_t>(layout.row_groups), 0.0);
        std::vector<double> weights(squares.size(), 0.0);
        for (std::int64_t row = 0; row < layout.rows; ++row) {
            const auto g = static_cast<std::size_t>(groups.group_of_row(row));
            for (std::int64_t j = 0; j < layout.cols; ++j)
                squares[g] += std::pow(static_cast<double>(residual.data<float>()[row * layout.cols + j]), 2);
            weights[g] += static_cast<double>(layout.cols);
        }
        matrix.scales = Tensor::empty({layout.row_groups});
        for (std::size_t g = 0; g < squares.size(); ++g)
            matrix.scales.values<float>()[g] =
                f16_rounded(static_cast<float>(std::sqrt(squares[g] / weights[g])));
    }
    parallel_for(layout.rows, row_grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            const float scale = matrix.scale(groups.group_of_row(row));
            const auto known = importance(matrix.model_row(row));
            for (std::int64_t j = 0; j < layout.cols; ++j) {
                const std::int64_t i = row * layout.cols + j;
                residual.data<float>()[i] = scale > 0 ? residual.data<float>()[i] / scale : 0.0F;
                counts.data<float>()[i] =
                    scale * scale * (known.empty() ? 1.0F : known[static_cast<std::size_t>(j)]);
            }
        }
    });
    const std::int64_t words = layout.codewords();
    for (int stage = 0; stage < layout.residual; ++stage) {
        const Stage present(residual, counts, layout);
        const Rng rng(0, fmt::format("{} vectors {}", problem.name, stage));
        const Tensor codebook = present.cluster(rng, iterations);
        std::ranges::copy(codebook.values<float>(),
                          matrix.codebooks.data<float>() + stage * words * layout.dimension);
        Tensor left = residual.clone();
        present.assign(codebook,
                       matrix.mapping.data<std::uint8_t>() + stage * layout.rows * layout.codes_per_row(),
                       left);
        residual = left;
    }
    if (layout.dimension == 1) (void)sort_codewords(matrix);
    return matrix;
}

}  // namespace jlcm
