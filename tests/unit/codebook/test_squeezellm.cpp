#include "core/base/half.hpp"
#include "plugins/solver/squeezellm/squeezellm.hpp"
#include "tests/unit/codebook/layer_fixtures.hpp"

#include <algorithm>
#include <limits>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

double weighted_error(const LayerProblem& problem, const CompressedMatrix& matrix, std::int64_t row) {
    const Tensor decoded = decode(matrix);
    double total = 0;
    for (std::int64_t i = row * problem.weights.cols(); i < (row + 1) * problem.weights.cols(); ++i) {
        const double distance = static_cast<double>(decoded.data<float>()[i]) -
                                static_cast<double>(problem.weights.data<float>()[i]);
        total += static_cast<double>(problem.fisher.data<float>()[i]) * distance * distance;
    }
    return total;
}

Tensor squares(Shape shape, std::uint64_t seed) {
    Tensor t = normal(std::move(shape), seed);
    for (float& v : t.values<float>()) v *= v;
    return t;
}

}  // namespace

TEST_CASE("squeezellm finds the best two clusters of a small row under its weights") {
    LayerProblem problem{"w", normal({6, 9}, 1), {}, 0};
    problem.fisher = squares({6, 9}, 2);
    auto matrix = CompressedMatrix::zeros(Layout::per_row(6, 9, 1));
    solve_squeezellm(problem, matrix, {});
    matrix.validate("w");
    for (std::int64_t row = 0; row < 6; ++row) {
        double best = std::numeric_limits<double>::infinity();
        for (int cells = 0; cells < 512; ++cells) {  // every way to cut nine weights in two
            double total = 0;
            for (int side = 0; side < 2; ++side) {
                double weight = 0;
                double sum = 0;
                double square = 0;
                for (int j = 0; j < 9; ++j) {
                    if ((cells >> j & 1) != side) continue;
                    const auto f = static_cast<double>(problem.fisher.data<float>()[row * 9 + j]);
                    const auto v = static_cast<double>(problem.weights.data<float>()[row * 9 + j]);
                    weight += f;
                    sum += f * v;
                    square += f * v * v;
                }
                if (weight > 0) total += square - sum * sum / weight;
            }
            best = std::min(best, total);
        }
        CHECK(weighted_error(problem, matrix, row) == Approx(best).epsilon(1e-2).margin(1e-6));
    }
}

TEST_CASE("squeezellm's sparse part holds the marked weights, in stored order") {
    const std::int64_t rows = 20;
    const std::int64_t cols = 50;
    LayerProblem problem{"w", normal({rows, cols}, 3), {}, 0};
    problem.fisher = squares({rows, cols}, 4);
    problem.weights.data<float>()[7 * cols + 3] = 40;
    problem.fisher.data<float>()[2 * cols + 9] = 1e6F;
    auto dense = CompressedMatrix::zeros(Layout::per_row(rows, cols, 2));
    for (std::int32_t i = 0; i < rows; ++i)
        dense.row_order.push_back((i * 3) % static_cast<std::int32_t>(rows));
    auto sparse = dense.clone();
    solve_squeezellm(problem, dense, {});
    solve_squeezellm(problem, sparse, {.sensitive = 0.004, .outliers = 0.01});
    sparse.validate("w");
    CHECK(dense.outliers.empty());
    CHECK(sparse.outliers.column.size() <= 14);
    CHECK(sparse.outliers.column.size() >= 10);
    const Tensor decoded = decode(sparse);
    CHECK(decoded.data<float>()[7 * cols + 3] == Approx(40.0).epsilon(2e-3));
    CHECK(decoded.data<float>()[2 * cols + 9] ==
          Approx(problem.weights.data<float>()[2 * cols + 9]).epsilon(2e-3).margin(1e-3));
    double without = 0;
    double with = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
        without += weighted_error(problem, dense, row);
        with += weighted_error(problem, sparse, row);
    }
    CHECK(with < without);
    CHECK_THROWS_WITH(solve_squeezellm({"blk.q", problem.weights, {}, 0}, dense, {}),
                      Catch::Contains("blk.q") && Catch::Contains("Fisher"));
}
