#include "plugins/solver/squeezellm/squeezellm.hpp"

#include "core/codebook/kmeans.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace jlcm {
namespace {

std::int64_t count_of(double share, std::int64_t weights) {
    return std::llround(share * static_cast<double>(weights));
}

/// Marks the `share` of weights with the largest scores; ties go to the earlier weight.
void mark_largest(std::vector<bool>& marked, const std::vector<float>& scores, double share) {
    const auto count = static_cast<std::size_t>(count_of(share, std::ssize(scores)));
    if (count == 0) return;
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(order.begin(), middle - 1, order.end(), [&](std::size_t a, std::size_t b) {
        return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
    });
    std::for_each(order.begin(), middle, [&](std::size_t i) { marked[i] = true; });
}

/// What marked weights (model row order) lack in the dense reconstruction.
Outliers corrections(const CompressedMatrix& matrix, const Tensor& weights, const std::vector<bool>& marked) {
    const Tensor dense = decode(matrix);
    const std::int64_t cols = matrix.layout.cols;
    Outliers result;
    result.row_start.push_back(0);
    for (std::int64_t stored = 0; stored < matrix.layout.rows; ++stored) {
        const std::int64_t row = matrix.model_row(stored);
        for (std::int64_t j = 0; j < cols; ++j) {
            const std::int64_t i = row * cols + j;
            if (!marked[static_cast<std::size_t>(i)]) continue;
            result.column.push_back(static_cast<std::int32_t>(j));
            result.value.push_back(weights.data<float>()[i] - dense.data<float>()[i]);
        }
        result.row_start.push_back(static_cast<std::int32_t>(result.column.size()));
    }
    return result;
}

}  // namespace

std::int64_t squeezellm_outliers(std::int64_t weights, const SqueezeLlmParameters& parameters) {
    return std::min(weights,
                    count_of(parameters.sensitive, weights) + count_of(parameters.outliers, weights));
}

void solve_squeezellm(const LayerProblem& problem, CompressedMatrix& matrix,
                      const SqueezeLlmParameters& parameters) {
    problem.validate();
    require(problem.fisher.defined(), "{}: squeezellm needs Fisher information, from calibration inputs",
            problem.name);
    require(problem.weights.size() < std::int64_t{1} << 31, "{}: too many weights for a sparse part",
            problem.name);
    const auto fisher = problem.fisher.values<float>();
    const auto weights = problem.weights.values<float>();
    std::vector<bool> aside(weights.size(), false);
    mark_largest(aside, {fisher.begin(), fisher.end()}, parameters.sensitive);
    std::vector<float> magnitudes(weights.size());
    std::ranges::transform(weights, magnitudes.begin(), [](float w) { return std::abs(w); });
    mark_largest(aside, magnitudes, parameters.outliers);

    LayerProblem dense = problem;
    dense.fisher = problem.fisher.clone();
    for (std::size_t i = 0; i < aside.size(); ++i)
        if (aside[i]) dense.fisher.values<float>()[i] = 0;  // the codebook does not see it
    matrix = fill_codebooks(
        dense, {matrix.layout, matrix.row_order, matrix.offsets.defined()}, dense.fisher_importance(),
        [](std::span<const float> values, std::span<const float> importance, std::span<float> codewords) {
            static thread_local KMeans1d kmeans;
            kmeans.exact(values, importance, codewords);
        });
    if (std::ranges::find(aside, true) == aside.end()) return;
    matrix.outliers = corrections(matrix, problem.weights, aside);
    matrix.round_to_storage(problem.name);
}

}  // namespace jlcm
