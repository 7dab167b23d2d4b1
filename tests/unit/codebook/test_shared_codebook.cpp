// One codebook for a matrix and a scale for each group: initialiser and solver against dense normal
// equations.
#include "core/base/half.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/plugin/choice.hpp"
#include "plugins/solver/lnq/lnq.hpp"
#include "tests/support/random.hpp"
#include "tests/support/squared_error.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;
using test::squared_error;

constexpr std::int64_t rows = 24;
constexpr std::int64_t cols = 20;

/// Rows of one shape whose spread goes by their group.
Tensor scaled_rows(const std::vector<std::int32_t>& group_of_row) {
    Tensor w = random_tensor({rows, cols}, "shared", DType::f32);
    for (std::int64_t i = 0; i < w.size(); ++i)
        w.data<float>()[i] *=
            std::pow(3.0F, static_cast<float>(group_of_row[static_cast<std::size_t>(i / cols)] % 4));
    return w;
}

Tensor moments() {
    const Tensor x = random_tensor({60, cols}, "inputs");
    Tensor h = Tensor::zeros({cols, cols}, DType::f64);
    for (std::int64_t t = 0; t < 60; ++t)
        for (std::int64_t i = 0; i < cols * cols; ++i)
            h.data<double>()[i] +=
                x.data<double>()[t * cols + i / cols] * x.data<double>()[t * cols + i % cols];
    return h;
}

using Vector = std::array<double, 4>;
using Square = std::array<Vector, 4>;

double dot(const Vector& a, const Vector& b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
}

/// a x = b by Gaussian elimination with pivoting.
Vector solve(Square a, Vector b) {
    for (std::size_t i = 0; i < 4; ++i) {
        std::size_t pivot = i;
        for (std::size_t r = i; r < 4; ++r)
            if (std::abs(a[r][i]) > std::abs(a[pivot][i])) pivot = r;
        std::swap(a[i], a[pivot]);
        std::swap(b[i], b[pivot]);
        for (std::size_t r = 0; r < 4; ++r) {
            if (r == i) continue;
            const double factor = a[r][i] / a[i][i];
            for (std::size_t c = 0; c < 4; ++c) a[r][c] -= factor * a[i][c];
            b[r] -= factor * b[i];
        }
    }
    for (std::size_t i = 0; i < 4; ++i) b[i] /= a[i][i];
    return b;
}

}  // namespace

TEST_CASE("lnq's step for a shared codebook solves the normal equations over all groups") {
    for (const std::int64_t groups : {1, 3, 24}) {
        const auto group_of_row = consecutive_groups(rows, groups);
        const Tensor w = scaled_rows(group_of_row);
        const Tensor h = moments();
        Layout layout = groups_in_place(Layout::per_tensor(rows, cols, 2), group_of_row, groups);
        layout.shared_codebook = true;
        const LayerProblem problem{.name = "w", .weights = w, .second_moments = h};
        auto matrix = Choice<CodebookInit>::parse("{type: kmeans, weights: none}")
                          .make()
                          ->initialise(problem, {layout, {}});
        const CompressedMatrix before = matrix.clone();
        LnqParameters parameters;
        parameters.rounds = 0;
        solve_lnq(problem, matrix, parameters);

        std::vector<double> damped(h.values<double>().begin(), h.values<double>().end());
        double trace = 0;
        for (std::size_t j = 0; j < damped.size(); j += cols + 1) trace += damped[j];
        for (std::size_t j = 0; j < damped.size(); j += cols + 1)
            damped[j] += parameters.damping * trace / cols;
        // P^T H P and P^T H w of each row, and their sums over all rows, scaled.
        std::vector<Square> row_a(rows, Square{});
        std::vector<Vector> row_b(rows, Vector{});
        Square a{};
        Vector b{};
        for (std::size_t r = 0; r < rows; ++r) {
            const std::uint8_t* code = before.mapping.data<std::uint8_t>() + r * cols;
            for (std::size_t i = 0; i < cols; ++i) {
                for (std::size_t j = 0; j < cols; ++j) {
                    row_a[r][code[i]][code[j]] += damped[i * cols + j];
                    row_b[r][code[i]] +=
                        damped[i * cols + j] * static_cast<double>(w.data<float>()[r * cols + j]);
                }
            }
            const auto s = static_cast<double>(before.scales.data<float>()[group_of_row[r]]);
            for (std::size_t i = 0; i < 4; ++i) {
                for (std::size_t j = 0; j < 4; ++j) a[i][j] += s * s * row_a[r][i][j];
                b[i] += s * row_b[r][i];
            }
        }
        Vector c = solve(a, b);
        const double unit = std::sqrt(dot(c, c) / 4);
        for (std::size_t k = 0; k < 4; ++k) {
            const auto stored = static_cast<double>(matrix.codebooks.data<float>()[k]);
            CHECK(stored == Approx(c[k] / unit).epsilon(2e-3));
            c[k] = stored;
        }
        // Scales are then best for the codebook as it is stored.
        for (std::int64_t g = 0; g < groups; ++g) {
            double overlap = 0;
            double curvature = 0;
            for (std::size_t r = 0; r < rows; ++r) {
                if (group_of_row[r] != g) continue;
                overlap += dot(c, row_b[r]);
                for (std::size_t i = 0; i < 4; ++i) curvature += c[i] * dot(row_a[r][i], c);
            }
            CHECK(static_cast<double>(matrix.scales.data<float>()[g]) ==
                  Approx(overlap / curvature).epsilon(2e-3));
        }
    }
}

TEST_CASE("scales and codebooks of groups, from one group to one a row: more groups fit better") {
    const auto group_of_row = consecutive_groups(rows, 6);
    const LayerProblem problem{
        .name = "w", .weights = scaled_rows(group_of_row), .second_moments = moments()};
    for (const char* parts : {"codebooks", "scales"}) {
        for (const char* weights : {"none", "input_second_moment"}) {
            double former = std::numeric_limits<double>::infinity();
            for (const int groups : {1, 6, 24}) {
                const auto grouping = Choice<Grouping>::parse(
                    fmt::format("{{type: consecutive, groups: {}, parts: {}}}", groups, parts));
                auto matrix =
                    Choice<CodebookInit>::parse(fmt::format("{{type: kmeans, weights: {}}}", weights))
                        .make()
                        ->initialise(problem, grouping.make()->group(problem, 2));
                matrix.validate("w");
                const auto log = solve_lnq(problem, matrix, {});
                matrix.validate("w");
                INFO(parts << " of " << groups << ", weights " << weights);
                CHECK(log.objective.back() < log.objective.front());
                CHECK(log.objective.back() < 1.1 * former);  // local optima differ
                former = log.objective.back();
            }
        }
    }
}

TEST_CASE("k-means with scales weights each group's values by its squared scale") {
    // One group a thousand times the other: the codebook of normalised values serves both alike.
    Tensor w = random_tensor({2, 400}, "two", DType::f32);
    for (std::int64_t j = 0; j < 400; ++j) w.data<float>()[400 + j] *= 1000;
    const LayerProblem problem{.name = "w", .weights = w, .second_moments = {}};
    const auto matrix =
        Choice<CodebookInit>::parse("{type: kmeans, weights: none}")
            .make()
            ->initialise(problem, Choice<Grouping>::parse("{type: consecutive, groups: 2, parts: scales}")
                                      .make()
                                      ->group(problem, 3));
    CHECK(matrix.scales.data<float>()[1] == Approx(1000 * matrix.scales.data<float>()[0]).epsilon(0.2));
    const Tensor d = decode(matrix);
    for (std::int64_t r = 0; r < 2; ++r) {
        double energy = 0;
        for (std::int64_t j = 0; j < 400; ++j)
            energy += std::pow(static_cast<double>(w.data<float>()[r * 400 + j]), 2);
        CHECK(squared_error(d.slice(r, r + 1), w.slice(r, r + 1)) < 0.06 * energy);
    }
}
