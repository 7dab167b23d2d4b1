#include "core/codebook/solver.hpp"

#include "core/base/parallel.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

constexpr std::int64_t check_grain = 64;  // rows

template <class T>
void require_finite(const std::string& name, const char* what, const Tensor& matrix) {
    const T* values = matrix.data<T>();
    const std::int64_t cols = matrix.cols();
    parallel_for(matrix.rows(), check_grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            T sum = 0;  // of zeros; NaN where a value is not finite
            for (std::int64_t j = 0; j < cols; ++j) sum += values[row * cols + j] * T(0);
            require(sum == T(0), "{}: row {} of the {} holds NaN or infinity", name, row, what);
        }
    });
}

void require_moments(const std::string& name, const Tensor& second_moments, std::int64_t cols) {
    require(second_moments.shape() == Shape({cols, cols}), "{}: second moments {} for {} inputs", name,
            to_string(second_moments.shape()), cols);
    require(second_moments.dtype() == DType::f32 || second_moments.dtype() == DType::f64,
            "{}: second moments in {}", name, name_of(second_moments.dtype()));
    if (second_moments.dtype() == DType::f32) {
        require_finite<float>(name, "second moments", second_moments);
    } else {
        require_finite<double>(name, "second moments", second_moments);
    }
    const auto moments = diagonal_of(second_moments);
    const auto negative = std::find_if(moments.begin(), moments.end(), [](float m) { return m < 0; });
    require(negative == moments.end(), "{}: the second moment of input {} is negative", name,
            negative - moments.begin());
}

}  // namespace

void LayerProblem::validate() const {
    require(weights.defined() && weights.dtype() == DType::f32 && weights.size() > 0,
            "{}: no float32 weights", name);
    require_finite<float>(name, "weights", weights);
    if (second_moments.defined()) require_moments(name, second_moments, weights.cols());
    for (const Tensor& weighted : weighted_moments) require_moments(name, weighted, weights.cols());
    if (!fisher.defined()) return;
    require(fisher.dtype() == DType::f32 && fisher.shape() == weights.shape(),
            "{}: Fisher information {} {} for weights {}", name, name_of(fisher.dtype()),
            to_string(fisher.shape()), to_string(weights.shape()));
    require_finite<float>(name, "Fisher information", fisher);
}

std::vector<RowSet> LayerProblem::row_sets() const {
    const std::int64_t rows = weights.rows();
    if (weighted_moments.empty()) return {{0, rows, second_moments}};
    const auto count = static_cast<std::int64_t>(weighted_moments.size());
    std::vector<RowSet> sets;
    for (std::int64_t q = 0; q < count; ++q)
        sets.push_back({row_set_begin(rows, count, q), row_set_begin(rows, count, q + 1),
                        weighted_moments[static_cast<std::size_t>(q)]});
    return sets;
}

ImportanceOfRow LayerProblem::second_moment_importance() const {
    struct Set {
        std::int64_t end;
        std::vector<float> diagonal;
    };
    std::vector<Set> sets;
    for (const RowSet& set : row_sets())
        sets.push_back(
            {set.end, set.second_moments.defined() ? diagonal_of(set.second_moments) : std::vector<float>()});
    return [sets = std::move(sets)](std::int64_t row) -> std::span<const float> {
        std::size_t i = 0;
        while (row >= sets[i].end) ++i;
        return sets[i].diagonal;
    };
}

ImportanceOfRow LayerProblem::fisher_importance() const {
    require(fisher.defined(), "{}: no Fisher information, which needs calibration inputs", name);
    return [information = fisher](std::int64_t row) {
        const auto cols = static_cast<std::size_t>(information.cols());
        return information.values<float>().subspan(static_cast<std::size_t>(row) * cols, cols);
    };
}

ImportanceOfRow equal_importance() {
    return [](std::int64_t) { return std::span<const float>(); };
}

void begin_solving(std::string_view solver, const LayerProblem& problem, CompressedMatrix& matrix,
                   bool handled, std::string_view handles) {
    const Layout& layout = matrix.layout;
    problem.validate();
    require(problem.row_sets().front().second_moments.defined(),
            "{}: {} needs the second moments of the layer's inputs", problem.name, solver);
    require(problem.weights.rows() == layout.rows && problem.weights.cols() == layout.cols,
            "{}: weights {} for a layout of {} x {}", problem.name, to_string(problem.weights.shape()),
            layout.rows, layout.cols);
    require(handled, "{}: {} solves {}", problem.name, solver, handles);
    matrix.validate(problem.name);
    matrix.round_to_storage(problem.name);
}

std::vector<std::vector<std::int64_t>> stored_rows(const std::vector<RowSet>& sets,
                                                   const CompressedMatrix& matrix) {
    std::vector<std::vector<std::int64_t>> rows(sets.size());
    for (std::int64_t row = 0; row < matrix.layout.rows; ++row) {
        std::size_t set = 0;
        while (matrix.model_row(row) >= sets[set].end) ++set;
        rows[set].push_back(row);
    }
    return rows;
}

std::vector<float> diagonal_of(const Tensor& matrix) {
    const std::int64_t n = matrix.rows();
    std::vector<float> diagonal(static_cast<std::size_t>(n));
    for (std::int64_t j = 0; j < n; ++j) {
        const std::int64_t at = j * n + j;
        diagonal[static_cast<std::size_t>(j)] = matrix.dtype() == DType::f32
                                                    ? matrix.data<float>()[at]
                                                    : static_cast<float>(matrix.data<double>()[at]);
    }
    return diagonal;
}

}  // namespace jlcm
