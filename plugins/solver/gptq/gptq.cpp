#include "plugins/solver/gptq/gptq.hpp"

#include "core/backend/backend.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/damped_moments.hpp"
#include "plugins/solver/gptq/feedback_factor.hpp"
#include "plugins/solver/gptq/gptq_kernels.hpp"

#include <algorithm>
#include <numeric>

namespace jlcm {

JLCM_DECLARE_KERNELS(GptqKernels, gptq)

namespace {

constexpr std::int64_t lanes = solver_lanes;
constexpr std::int64_t block_columns = 256;
constexpr std::int64_t transposed_columns = 16;  // a square of a tile that is transposed in cache

/// The rows of one set of second moments, column by column in their order.
class Feedback {
  public:
    /// `rows`: the stored rows whose second moments are `second_moments`.
    Feedback(const LayerProblem& problem, const Tensor& second_moments, std::vector<std::int64_t> rows,
             CompressedMatrix& matrix, const GptqParameters& parameters, Backend& backend,
             std::vector<std::string>& notes)
        : matrix_(matrix),
          parameters_(parameters),
          backend_(backend),
          kernels_(JLCM_SELECT_KERNELS(gptq)),
          cols_(matrix.layout.cols),
          k_(matrix.layout.codewords()),
          groups_(matrix.layout.group_map()),
          rows_(std::move(rows)) {
        const DampedMoments moments = damp(second_moments, problem.samples, parameters.damping, notes);
        order_columns(moments);
        importance_ = diagonal_of(second_moments);
        load(problem);
        factor_ = factor_feedback(problem.name, in_order(moments), backend);
    }

    /// Maps every weight; returns the objective.
    double run() {
        const std::int64_t size = parameters_.refit ? groups_.width() : block_columns;
        std::vector<Block> blocks;
        for (std::int64_t begin = 0; begin < cols_; begin += size)
            blocks.push_back(block_of(begin, std::min(size, cols_ - begin)));
        const auto count = static_cast<std::int64_t>(rows_.size());
        const std::int64_t step = tiles_at_a_time() * lanes;
        double objective = 0;
        for (std::int64_t first = 0; first < count; first += step)
            objective += map_rows(first, std::min(step, count - first), blocks);
        return objective;
    }

  private:
    /// Columns that are mapped one after the other in a tile.
    struct Block {
        std::int64_t begin = 0;
        std::int64_t size = 0;
        Tensor factor;  ///< [size, size], row j: the feedback that column j gets from those before it
        std::vector<std::int32_t> groups;  ///< of each column
    };
    /// What the column groups of a tile's rows hold.
    struct Tables {
        float* codewords = nullptr;   ///< [column groups, K, lanes]
        float* thresholds = nullptr;  ///< [column groups, K - 1, lanes]
    };

    [[nodiscard]] std::int64_t table_size() const { return groups_.column_groups() * (2 * k_ - 1) * lanes; }
    /// Tiles whose tables are kept: each block of columns reads all of them where columns are in another
    /// order.
    [[nodiscard]] std::int64_t tiles_at_a_time() const {
        constexpr std::int64_t table_floats = std::int64_t{1} << 24;
        return std::clamp<std::int64_t>(table_floats / table_size(), 8, 128);
    }
    [[nodiscard]] Tables tables_of(Tensor& memory, std::int64_t tile) const {
        float* codewords = memory.data<float>() + tile * table_size();
        return {codewords, codewords + groups_.column_groups() * k_ * lanes};
    }

    /// Maps `count` rows of the set; returns their part of the objective.
    double map_rows(std::int64_t first, std::int64_t count, const std::vector<Block>& blocks) {
        const std::int64_t tiles = (count + lanes - 1) / lanes;
        Tensor tables = Tensor::empty({tiles, table_size()});
        const auto rows_of = [&](std::int64_t tile) { return std::min(lanes, count - tile * lanes); };
        parallel_for(tiles, 1, [&](std::int64_t t, std::int64_t) {
            std::ranges::fill(tables.slice(t, t + 1).values<float>(), 0.0F);
            if (parameters_.refit) return;  // made when a group's columns come
            for (std::int64_t g = 0; g < groups_.column_groups(); ++g)
                fill_tables(first + t * lanes, rows_of(t), g, tables_of(tables, t));
        });
        std::vector<double> objective(static_cast<std::size_t>(tiles), 0.0);
        for (const Block& block : blocks) {
            Tensor carried = Tensor::empty({count, block.size});
            backend_.gemm(submatrix(errors_, first, count, 0, block.begin), Transpose::no,
                          submatrix(factor_.feedback, 0, block.begin, block.begin, block.size), Transpose::no,
                          carried, false);
            parallel_for(tiles, 1, [&](std::int64_t t, std::int64_t) {
                objective[static_cast<std::size_t>(t)] +=
                    map_tile(first + t * lanes, rows_of(t), block,
                             carried.data<float>() + t * lanes * block.size, tables_of(tables, t));
            });
        }
        return std::accumulate(objective.begin(), objective.end(), 0.0);
    }

    void order_columns(const DampedMoments& moments) {
        order_.resize(static_cast<std::size_t>(cols_));
        std::iota(order_.begin(), order_.end(), std::int64_t{0});
        if (parameters_.order == ColumnOrder::natural) return;
        std::ranges::stable_sort(order_, [&](std::int64_t a, std::int64_t b) {
            return moments.matrix.data<float>()[a * moments.cols + a] >
                   moments.matrix.data<float>()[b * moments.cols + b];
        });
    }

    [[nodiscard]] Tensor in_order(const DampedMoments& moments) const {
        Tensor result = Tensor::empty({cols_, cols_});
        parallel_for(cols_, 64, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                const float* from =
                    moments.matrix.data<float>() + order_[static_cast<std::size_t>(i)] * moments.cols;
                float* to = result.data<float>() + i * cols_;
                for (std::int64_t j = 0; j < cols_; ++j) to[j] = from[order_[static_cast<std::size_t>(j)]];
            }
        });
        return result;
    }

    /// Targets of the set's rows in the order of columns.
    void load(const LayerProblem& problem) {
        const auto count = static_cast<std::int64_t>(rows_.size());
        targets_ = Tensor::empty({count, cols_});
        errors_ = Tensor::empty({count, cols_});
        parallel_for(count, 16, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                const std::int64_t row = rows_[static_cast<std::size_t>(i)];
                const float* from = problem.weights.data<float>() + matrix_.model_row(row) * cols_;
                float* to = targets_.data<float>() + i * cols_;
                for (std::int64_t j = 0; j < cols_; ++j) to[j] = from[order_[static_cast<std::size_t>(j)]];
            }
        });
    }

    [[nodiscard]] Block block_of(std::int64_t begin, std::int64_t size) const {
        Block block{begin, size, Tensor::empty({size, size}), {}};
        for (std::int64_t j = 0; j < size; ++j) {
            for (std::int64_t i = 0; i < size; ++i)
                block.factor.data<float>()[j * size + i] =
                    factor_.feedback.data<float>()[(begin + i) * cols_ + begin + j];
            block.groups.push_back(
                static_cast<std::int32_t>(groups_.column_group(order_[static_cast<std::size_t>(begin + j)])));
        }
        return block;
    }

    /// Maps rows [first, first + count) over a block; `carried` [count, block.size] is what columns before it
    /// feed back. Returns their part of the objective.
    double map_tile(std::int64_t first, std::int64_t count, const Block& block, const float* carried,
                    const Tables& tables) {
        const std::int64_t size = block.size;
        Tensor memory = Tensor::zeros({3 * size * lanes + lanes});
        float* target = memory.data<float>();
        float* aim = target + size * lanes;
        float* error = aim + size * lanes;
        float* loss = error + size * lanes;
        std::vector<std::uint8_t> codes(static_cast<std::size_t>(size * lanes));
        for (std::int64_t begin = 0; begin < size; begin += transposed_columns) {
            const std::int64_t end = std::min(size, begin + transposed_columns);
            for (std::int64_t l = 0; l < count; ++l) {
                const float* w = targets_.data<float>() + (first + l) * cols_ + block.begin;
                const float* c = carried + l * size;
                for (std::int64_t j = begin; j < end; ++j) {
                    target[j * lanes + l] = w[j];
                    aim[j * lanes + l] = w[j] - c[j];
                }
            }
        }
        if (const auto fit = parameters_.refit) {
            refit(*fit, first, count, block, target, aim);
            fill_tables(first, count, groups_.column_group(block.begin), tables);
        }
        kernels_.feed_back(size, block.factor.data<float>(), factor_.diagonal.data() + block.begin, k_,
                           block.groups.data(), tables.codewords, tables.thresholds, target, aim, error,
                           codes.data(), loss);
        for (std::int64_t begin = 0; begin < size; begin += transposed_columns) {
            const std::int64_t end = std::min(size, begin + transposed_columns);
            for (std::int64_t l = 0; l < count; ++l) {
                float* e = errors_.data<float>() + (first + l) * cols_ + block.begin;
                std::uint8_t* code =
                    matrix_.mapping.data<std::uint8_t>() + rows_[static_cast<std::size_t>(first + l)] * cols_;
                for (std::int64_t j = begin; j < end; ++j) {
                    e[j] = error[j * lanes + l];
                    code[order_[static_cast<std::size_t>(block.begin + j)]] =
                        codes[static_cast<std::size_t>(j * lanes + l)];
                }
            }
        }
        return std::accumulate(loss, loss + count, 0.0,
                               [](double sum, float each) { return sum + static_cast<double>(each); });
    }

    /// The values of a column group of rows [first, first + count), and the thresholds between them.
    void fill_tables(std::int64_t first, std::int64_t count, std::int64_t column_group,
                     const Tables& tables) const {
        std::vector<float> values(static_cast<std::size_t>(k_));
        for (std::int64_t l = 0; l < count; ++l) {
            matrix_.group_values(groups_.group(rows_[static_cast<std::size_t>(first + l)], column_group),
                                 values);
            float* codewords = tables.codewords + column_group * k_ * lanes + l;
            float* thresholds = tables.thresholds + column_group * (k_ - 1) * lanes + l;
            for (int i = 0; i < k_; ++i) codewords[i * lanes] = values[static_cast<std::size_t>(i)];
            for (int i = 0; i + 1 < k_; ++i)
                thresholds[i * lanes] = 0.5F * codewords[i * lanes] + 0.5F * codewords[(i + 1) * lanes];
        }
    }

    /// New scales and offsets of a block that is one column group. The weights as feedback has changed them
    /// are the aims of its columns if all of them were met.
    void refit(GridFit fit, std::int64_t first, std::int64_t count, const Block& block, const float* target,
               const float* aim) {
        const std::int64_t size = block.size;
        std::vector<float> updated(aim, aim + size * lanes);
        for (std::int64_t j = 0; j < size; ++j) {
            for (std::int64_t i = 0; i < j; ++i) {
                const float factor = block.factor.data<float>()[j * size + i];
                const float* met = updated.data() + i * lanes;
                float* value = updated.data() + j * lanes;
                for (std::int64_t l = 0; l < lanes; ++l)
                    value[l] -= factor * (met[l] - target[i * lanes + l]);
            }
        }
        std::vector<float> values(static_cast<std::size_t>(size));
        const auto weights =
            std::span<const float>(importance_).subspan(static_cast<std::size_t>(block.begin), values.size());
        const auto codewords = std::as_const(matrix_.codebooks).values<float>();
        for (std::int64_t l = 0; l < count; ++l) {
            for (std::int64_t j = 0; j < size; ++j)
                values[static_cast<std::size_t>(j)] = updated[static_cast<std::size_t>(j * lanes + l)];
            const Affine grid = fit_grid(values, weights, codewords, fit, matrix_.offsets.defined());
            const std::int64_t g =
                groups_.group(rows_[static_cast<std::size_t>(first + l)], groups_.column_group(block.begin));
            matrix_.scales.data<float>()[g] = grid.scale;
            if (matrix_.offsets.defined()) matrix_.offsets.data<float>()[g] = grid.offset;
        }
    }

    CompressedMatrix& matrix_;
    const GptqParameters& parameters_;
    Backend& backend_;
    const GptqKernels& kernels_;
    std::int64_t cols_;
    int k_;
    GroupMap groups_;
    std::vector<std::int64_t> rows_;   ///< stored rows of the set
    std::vector<std::int64_t> order_;  ///< columns, the first to be mapped first
    std::vector<float> importance_;    ///< H's diagonal without damping, stored order of columns
    Tensor targets_, errors_;          ///< [rows of the set, columns in order]
    FeedbackFactor factor_;
};

}  // namespace

SolverLog solve_gptq(const LayerProblem& problem, CompressedMatrix& matrix, const GptqParameters& parameters,
                     Backend& backend) {
    const Layout& layout = matrix.layout;
    begin_solving("gptq", problem, matrix,
                  layout.dimension == 1 && layout.residual == 1 && matrix.outliers.empty(),
                  "scalar codewords in one stage, without outliers");
    require(!parameters.refit || (layout.shared_codebook && layout.column_group > 0 &&
                                  layout.row_groups == layout.rows && layout.runs.empty()),
            "{}: gptq finds scales anew for groups of columns of single rows over a shared codebook "
            "(grouping: column_groups)",
            problem.name);
    require(!parameters.refit || parameters.order == ColumnOrder::natural,
            "{}: gptq finds scales anew in natural order only: by activation, a group's "
            "columns do not come together",
            problem.name);
    require_positive_scales(problem.name, matrix);
    SolverLog log;
    double objective = 0;
    const auto sets = problem.row_sets();
    auto rows = stored_rows(sets, matrix);
    for (std::size_t set = 0; set < sets.size(); ++set) {
        if (rows[set].empty()) continue;
        objective += Feedback(problem, sets[set].second_moments, std::move(rows[set]), matrix, parameters,
                              backend, log.notes)
                         .run();
    }
    log.objective.push_back(objective);
    return log;
}

}  // namespace jlcm
