#include "core/backend/backend.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/plugin/choice.hpp"
#include "plugins/solver/adaround/adaround.hpp"
#include "tests/unit/codebook/layer_fixtures.hpp"

#include <algorithm>
#include <limits>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

CompressedMatrix start(const LayerProblem& problem, const std::string& grouping, int bits) {
    const auto rows = Choice<Grouping>::parse(grouping).make()->group(problem, bits);
    return Choice<CodebookInit>("uniform").make()->initialise(problem, rows);
}

}  // namespace

TEST_CASE("adaround comes close to the best of all roundings up or down") {
    double reached = 0;
    double optimum = 0;
    double nearest = 0;
    for (std::uint64_t trial = 0; trial < 20; ++trial) {
        const std::int64_t cols = 7;
        const Tensor w = normal({1, cols}, 100 + trial);
        const LayerProblem problem{"w", w, correlated_moments(cols, 30, 200 + trial), 0};
        auto m = start(problem, "per_row", 3);
        const auto hd = damped(problem.second_moments, 1e-3);
        nearest += objective(w, m, hd);
        double best = std::numeric_limits<double>::infinity();
        const float* book = m.codebooks.data<float>();
        for (int up = 0; up < 1 << cols; ++up) {
            auto other = m.clone();
            for (int j = 0; j < cols; ++j) {
                const auto above = std::upper_bound(book + 1, book + 7, w.data<float>()[j]) - book;
                other.mapping.data<std::uint8_t>()[j] = static_cast<std::uint8_t>(above - 1 + (up >> j & 1));
            }
            best = std::min(best, objective(w, other, hd));
        }
        const auto log = solve_adaround(problem, m, {}, cpu_backend());
        CHECK(log.objective.back() == Approx(objective(w, m, hd)).epsilon(1e-3));
        CHECK(objective(w, m, hd) >= best * (1 - 1e-4));
        reached += objective(w, m, hd);
        optimum += best;
    }
    CHECK(reached < 1.5 * optimum);
    CHECK(reached < 0.7 * nearest);
}

TEST_CASE("adaround improves layers, and gives the same bytes at any number of threads") {
    const Tensor w = normal({70, 90}, 1);
    LayerProblem problem{"w", w, correlated_moments(90, 200, 2), 0};
    const int threads = thread_count();
    for (const char* grouping :
         {"{type: column_groups, size: 32}", "per_row", "{type: distribution, groups: 3}"}) {
        const auto begin = start(problem, grouping, 2);
        auto one = begin.clone();
        auto two = begin.clone();
        set_thread_count(1);
        const auto log = solve_adaround(problem, one, {.steps = 100}, cpu_backend());
        set_thread_count(3);
        solve_adaround(problem, two, {.steps = 100}, cpu_backend());
        set_thread_count(threads);
        one.validate("w");
        CHECK(one.identical(two));
        const auto hd = damped(problem.second_moments, 1e-3);
        CHECK(log.objective.front() == Approx(objective(w, begin, hd)).epsilon(1e-3));
        CHECK(log.objective.back() == Approx(objective(w, one, hd)).epsilon(1e-3));
        CHECK(log.objective.back() < 0.7 * log.objective.front());
    }
    // Rows of sets with moments of their own are learned with those.
    problem.weighted_moments = {problem.second_moments, correlated_moments(90, 200, 3)};
    auto sets = start(problem, "per_row", 2);
    CHECK(solve_adaround(problem, sets, {.steps = 50}, cpu_backend()).objective.back() > 0);
    const LayerProblem constant{"w", Tensor::zeros({3, 8}), correlated_moments(8, 20, 4), 0};
    auto zeros = start(constant, "per_row", 2);
    CHECK(solve_adaround(constant, zeros, {.steps = 5}, cpu_backend()).objective.back() == 0);
    CHECK_THROWS_WITH(solve_adaround({"blk.q", w, {}, 0}, sets, {}, cpu_backend()), Catch::Contains("blk.q"));
}
