#include "core/backend/backend.hpp"
#include "core/base/parallel.hpp"
#include "core/plugin/choice.hpp"
#include "plugins/solver/gptq/feedback_factor.hpp"
#include "plugins/solver/gptq/gptq.hpp"
#include "tests/unit/codebook/layer_fixtures.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

Layout column_groups(std::int64_t rows, std::int64_t cols, int bits, std::int64_t size) {
    Layout layout = Layout::per_row(rows, cols, bits);
    layout.column_group = size;
    layout.shared_codebook = true;
    return layout;
}

CompressedMatrix on_even_grids(const LayerProblem& problem, Layout layout) {
    return fill_even_grids(problem, {std::move(layout), {}, true}, equal_importance(), {});
}

/// The inverse by Gauss-Jordan elimination.
std::vector<double> inverse(std::vector<double> a, std::size_t n) {
    std::vector<double> result(n * n, 0.0);
    for (std::size_t i = 0; i < n; ++i) result[i * n + i] = 1;
    for (std::size_t p = 0; p < n; ++p) {
        const double pivot = a[p * n + p];
        for (std::size_t j = 0; j < n; ++j) {
            a[p * n + j] /= pivot;
            result[p * n + j] /= pivot;
        }
        for (std::size_t i = 0; i < n; ++i) {
            if (i == p) continue;
            const double factor = a[i * n + p];
            for (std::size_t j = 0; j < n; ++j) {
                a[i * n + j] -= factor * a[p * n + j];
                result[i * n + j] -= factor * result[p * n + j];
            }
        }
    }
    return result;
}

/// GPTQ as its paper derives it: after each column all later weights are updated and the column is taken out
/// of H^-1. Scales and offsets are found anew at the first column of each group where `refit`.
void literal_gptq(const Tensor& w, CompressedMatrix& m, const std::vector<double>& h,
                  const std::vector<std::size_t>& order, bool refit) {
    const auto n = static_cast<std::size_t>(w.cols());
    const auto k = static_cast<std::size_t>(m.layout.codewords());
    const auto width = m.layout.column_group == 0 ? n : static_cast<std::size_t>(m.layout.column_group);
    const std::size_t per_row = (n + width - 1) / width;
    for (std::size_t row = 0; row < static_cast<std::size_t>(w.rows()); ++row) {
        std::vector<double> v(n);
        for (std::size_t j = 0; j < n; ++j) v[j] = static_cast<double>(w.data<float>()[row * n + j]);
        std::vector<double> left = inverse(h, n);
        for (const std::size_t j : order) {
            const std::size_t group = row * per_row + j / width;
            if (refit && j % width == 0) {
                std::vector<float> values;
                for (std::size_t i = j; i < std::min(n, j + width); ++i)
                    values.push_back(static_cast<float>(v[i]));
                const Affine grid = fit_grid(values, {}, m.codebooks.values<float>(), GridFit::range, true);
                m.scales.data<float>()[group] = grid.scale;
                m.offsets.data<float>()[group] = grid.offset;
            }
            const double scale =
                m.scales.defined() ? static_cast<double>(m.scales.data<float>()[group]) : 1.0;
            const double offset =
                m.offsets.defined() ? static_cast<double>(m.offsets.data<float>()[group]) : 0.0;
            const float* book = m.codebooks.data<float>() + (m.layout.shared_codebook ? 0 : group) * k;
            const auto value = [&](std::size_t c) { return scale * static_cast<double>(book[c]) + offset; };
            std::size_t best = 0;
            for (std::size_t c = 1; c < k; ++c)
                if (std::abs(value(c) - v[j]) < std::abs(value(best) - v[j])) best = c;
            m.mapping.data<std::uint8_t>()[row * n + j] = static_cast<std::uint8_t>(best);
            const double step = (v[j] - value(best)) / left[j * n + j];
            for (std::size_t i = 0; i < n; ++i) v[i] -= step * left[i * n + j];
            const std::vector<double> before = left;
            for (std::size_t a = 0; a < n; ++a)
                for (std::size_t b = 0; b < n; ++b)
                    left[a * n + b] -= before[a * n + j] * before[j * n + b] / before[j * n + j];
            left[j * n + j] = 1;  // decided; never read again
        }
    }
}

std::int64_t different_codes(const CompressedMatrix& a, const CompressedMatrix& b) {
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < a.mapping.size(); ++i)
        count += a.mapping.data<std::uint8_t>()[i] != b.mapping.data<std::uint8_t>()[i] ? 1 : 0;
    return count;
}

}  // namespace

TEST_CASE("a feedback factor is H = N D N^T") {
    for (const std::int64_t n : {1, 5, 128, 200, 300}) {
        const Tensor h = correlated_moments(n, 2 * n + 3, 1).to(DType::f32);
        const auto factor = factor_feedback("h", h.clone(), cpu_backend());
        const float* f = factor.feedback.data<float>();
        double worst = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            CHECK(f[i * n + i] == Approx(1.0));
            for (std::int64_t j = 0; j < n; ++j) {
                double sum = 0;
                for (std::int64_t k = 0; k < n; ++k)
                    sum += static_cast<double>(f[i * n + k]) * static_cast<double>(f[j * n + k]) *
                           static_cast<double>(factor.diagonal[static_cast<std::size_t>(k)]);
                worst = std::max(worst, std::abs(sum - static_cast<double>(h.data<float>()[i * n + j])) /
                                            std::sqrt(static_cast<double>(h.data<float>()[i * n + i]) *
                                                      static_cast<double>(h.data<float>()[j * n + j])));
                if (j < i) CHECK(f[i * n + j] == 0.0F);
            }
        }
        CHECK(worst < 1e-5);
    }
    Tensor singular = Tensor::empty({3, 3});
    for (float& v : singular.values<float>()) v = 1;
    CHECK_THROWS_WITH(factor_feedback("blk.q", singular, cpu_backend()),
                      Catch::Contains("blk.q") && Catch::Contains("damping"));
}

TEST_CASE("gptq is the published method, up to ties") {
    const std::int64_t rows = 21;
    const std::int64_t cols = 150;
    const Tensor w = normal({rows, cols}, 1);
    const Tensor h = correlated_moments(cols, 400, 2);
    const LayerProblem problem{"w", w, h, 0};
    const auto hd = damped(h, 0.01);
    std::vector<std::size_t> natural(static_cast<std::size_t>(cols));
    std::iota(natural.begin(), natural.end(), std::size_t{0});
    auto activation = natural;
    std::ranges::stable_sort(activation, [&](std::size_t a, std::size_t b) {
        return static_cast<float>(hd[a * natural.size() + a]) >
               static_cast<float>(hd[b * natural.size() + b]);
    });
    struct Case {
        Layout layout;
        bool by_activation;
        bool refit;
    };
    const std::vector<Case> cases{
        {Layout::per_row(rows, cols, 2), false, false},  {Layout::per_row(rows, cols, 3), true, false},
        {Layout::per_row(rows, cols, 5), false, false},  {column_groups(rows, cols, 2, 64), false, false},
        {column_groups(rows, cols, 3, 32), true, false}, {column_groups(rows, cols, 3, 64), false, true},
        {column_groups(rows, cols, 2, 20), false, true}};
    for (const auto& [layout, by_activation, refit] : cases) {
        auto fast = layout.shared_codebook
                        ? on_even_grids(problem, layout)
                        : Choice<CodebookInit>("kmeans").make()->initialise(problem, {layout, {}});
        auto literal = fast.clone();
        literal_gptq(w, literal, hd, by_activation ? activation : natural, refit);
        GptqParameters parameters;
        parameters.order = by_activation ? ColumnOrder::activation : ColumnOrder::natural;
        if (refit) parameters.refit = GridFit::range;
        // Without weights in the literal one, the refit's range is the same: importance plays no part in it.
        const auto log = solve_gptq(problem, fast, parameters, cpu_backend());
        fast.validate("w");
        CHECK(different_codes(fast, literal) <= rows * cols / 200);
        REQUIRE(log.objective.size() == 1);
        const double reached = objective(w, fast, hd);
        CHECK(log.objective.front() == Approx(reached).epsilon(1e-3));
        CHECK(reached == Approx(objective(w, literal, hd)).epsilon(0.05));
    }
}

TEST_CASE("gptq of uncorrelated inputs is rounding to nearest, and of two inputs what brute force finds") {
    const Tensor w = normal({10, 70}, 3);
    Tensor identity = Tensor::zeros({70, 70});
    for (std::int64_t j = 0; j < 70; ++j) identity.data<float>()[j * 70 + j] = 1;
    const LayerProblem problem{"w", w, identity, 0};
    const auto start = on_even_grids(problem, column_groups(10, 70, 3, 32));
    for (const auto order : {ColumnOrder::natural, ColumnOrder::activation}) {
        auto m = start.clone();
        solve_gptq(problem, m, {.damping = 0.01, .order = order, .refit = {}}, cpu_backend());
        CHECK(m.identical(start));
    }
    // Two correlated inputs: the second weight's code is the best one given the first's nearest.
    const Tensor pair = normal({40, 2}, 4);
    const Tensor h = correlated_moments(2, 50, 5);
    const LayerProblem small{"w", pair, h, 0};
    auto m = on_even_grids(small, Layout::per_tensor(40, 2, 2));
    solve_gptq(small, m, {}, cpu_backend());
    const auto hd = damped(h, 0.01);
    for (std::int64_t row = 0; row < 40; ++row) {
        const double reached = row_objective(pair, decode(m), hd, row);
        for (std::uint8_t code = 0; code < 4; ++code) {
            auto other = m.clone();
            other.mapping.data<std::uint8_t>()[row * 2 + 1] = code;
            CHECK(reached <= row_objective(pair, decode(other), hd, row) + 1e-4);
        }
    }
}

TEST_CASE("gptq beats rounding, and gives the same bytes at any number of threads") {
    const Tensor w = normal({130, 300}, 6);
    const Tensor h = correlated_moments(300, 700, 7);
    LayerProblem problem{"w", w, h, 0};
    const auto hd = damped(h, 0.01);
    const auto start = on_even_grids(problem, column_groups(130, 300, 3, 64));
    const int threads = thread_count();
    for (const bool refit : {false, true}) {
        GptqParameters parameters;
        if (refit) parameters.refit = GridFit::least_squares;
        auto one = start.clone();
        auto two = start.clone();
        set_thread_count(1);
        solve_gptq(problem, one, parameters, cpu_backend());
        set_thread_count(3);
        solve_gptq(problem, two, parameters, cpu_backend());
        set_thread_count(threads);
        CHECK(one.identical(two));
        CHECK(objective(w, one, hd) < 0.6 * objective(w, start, hd));
    }
    // Sets of rows with moments of their own are as many problems.
    problem.weighted_moments = {h, correlated_moments(300, 700, 8), h};
    auto sets = start.clone();
    solve_gptq(problem, sets, {}, cpu_backend());
    LayerProblem whole{"w", w, problem.weighted_moments[1], 0};
    auto second = start.clone();
    solve_gptq(whole, second, {}, cpu_backend());
    for (std::int64_t row = 44; row < 87;
         ++row)  // rows of the set in the middle: [ceil(130 / 3), ceil(260 / 3))
        for (std::int64_t j = 0; j < 300; ++j)
            REQUIRE(sets.mapping.data<std::uint8_t>()[row * 300 + j] ==
                    second.mapping.data<std::uint8_t>()[row * 300 + j]);
}

TEST_CASE("gptq of hard layers") {
    const std::int64_t cols = 40;
    const Tensor w = normal({5, cols}, 9);
    Tensor silent = correlated_moments(cols, 30, 10);  // fewer samples than columns, and one column silent
    for (std::int64_t j = 0; j < cols; ++j)
        silent.data<double>()[3 * cols + j] = silent.data<double>()[j * cols + 3] = 0;
    for (const Tensor& h : {silent, Tensor::zeros({cols, cols})}) {
        const LayerProblem problem{"blk.q", w, h, 30};
        auto m = on_even_grids(problem, column_groups(5, cols, 2, 16));
        const auto log = solve_gptq(problem, m, {}, cpu_backend());
        m.validate("blk.q");
        CHECK_FALSE(log.notes.empty());
    }
    const LayerProblem constant{"blk.q", Tensor::zeros({5, cols}), silent, 0};
    auto m = on_even_grids(constant, column_groups(5, cols, 2, 16));
    GptqParameters refit;
    refit.refit = GridFit::least_squares;
    solve_gptq(constant, m, refit, cpu_backend());
    const Tensor decoded = decode(m);
    for (const float v : decoded.values<float>()) CHECK(v == 0.0F);

    refit.order = ColumnOrder::activation;
    CHECK_THROWS_WITH(solve_gptq(constant, m, refit, cpu_backend()), Catch::Contains("natural order"));
    auto rows = on_even_grids(constant, Layout::per_row(5, cols, 2));
    refit.order = ColumnOrder::natural;
    CHECK_THROWS_WITH(solve_gptq(constant, rows, refit, cpu_backend()), Catch::Contains("column_groups"));
    CHECK_THROWS_WITH(solve_gptq({"blk.q", w, {}, 0}, rows, {}, cpu_backend()),
                      Catch::Contains("second moments"));
}

TEST_CASE("grids by least squares are never worse than by range, and exact where weights lie on a grid") {
    const std::vector<float> unit{-1.0F, -1.0F / 3, 1.0F / 3, 1.0F};
    const auto error = [&](std::span<const float> values, const Affine& grid) {
        double total = 0;
        for (const float v : values) {
            double least = std::numeric_limits<double>::infinity();
            for (const float c : unit)
                least = std::min(least, std::abs(static_cast<double>(v - (grid.scale * c + grid.offset))));
            total += least * least;
        }
        return total;
    };
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Tensor values = normal({64}, 20 + seed);
        for (const bool offset : {true, false}) {
            const auto range = fit_grid(values.values<float>(), {}, unit, GridFit::range, offset);
            const auto squares = fit_grid(values.values<float>(), {}, unit, GridFit::least_squares, offset);
            CHECK(error(values.values<float>(), squares) <=
                  error(values.values<float>(), range) * (1 + 1e-6));
        }
    }
    const std::vector<float> on_grid{0.5F, 1.0F, 1.5F, 2.0F, 0.5F, 2.0F};
    for (const auto fit : {GridFit::range, GridFit::least_squares})
        CHECK(error(on_grid, fit_grid(on_grid, {}, unit, fit, true)) < 1e-5);
    const std::vector<float> equal(7, 0.25F);
    CHECK(error(equal, fit_grid(equal, {}, unit, GridFit::least_squares, true)) == 0);
    CHECK(fit_grid({}, {}, unit, GridFit::range, true).scale == 0);
}
