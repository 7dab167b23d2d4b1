#include "core/backend/backend.hpp"
#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/plugin/choice.hpp"
#include "plugins/solver/aqlm/aqlm.hpp"
#include "tests/unit/codebook/layer_fixtures.hpp"

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

CompressedMatrix start(const LayerProblem& problem, const std::string& grouping, int bits) {
    const auto rows = Choice<Grouping>::parse(grouping).make()->group(problem, bits);
    auto matrix = Choice<CodebookInit>("kmeans").make()->initialise(problem, rows);
    matrix.validate("start");
    return matrix;
}

}  // namespace

TEST_CASE("vector k-means finds vectors of a few kinds") {
    const std::vector<std::vector<float>> kinds{{1, 1, 0, 0}, {-1, 0, 2, 0}, {0, -2, 0, 1}, {3, 0, 0, -1}};
    Tensor w = Tensor::empty({40, 32});
    for (std::int64_t i = 0; i < w.size(); ++i)
        w.data<float>()[i] = kinds[static_cast<std::size_t>(i / 4 * 7 % 4)][static_cast<std::size_t>(i % 4)];
    // Eight codewords for four kinds: random starts may share a kind, but rarely miss one.
    const LayerProblem problem{"w", w, {}, 0};
    const auto rows =
        Choice<Grouping>::parse("{type: vectors, dimension: 4, row_scales: false}").make()->group(problem, 5);
    const auto matrix =
        Choice<CodebookInit>::parse("{type: kmeans, weights: none}").make()->initialise(problem, rows);
    const Tensor decoded = decode(matrix);
    for (std::int64_t i = 0; i < w.size(); ++i)
        REQUIRE(decoded.data<float>()[i] == Approx(w.data<float>()[i]).margin(1e-3));
    CHECK_THROWS_WITH(Choice<Grouping>::parse("{type: vectors, dimension: 5}").make()->group(problem, 4),
                      Catch::Contains("5"));
}

TEST_CASE(
    "aqlm's objective falls, its codes are best one by one, and its codebooks least-squares solutions") {
    const Tensor w = normal({48, 40}, 1);
    const LayerProblem problem{"w", w, correlated_moments(40, 120, 2), 0};
    const auto hd = damped(problem.second_moments, 1e-3);
    for (const char* grouping :
         {"{type: vectors, dimension: 4}", "{type: vectors, dimension: 2, stages: 2}",
          "{type: vectors, dimension: 4, stages: 2, row_scales: false}", "{type: vectors, dimension: 1}"}) {
        auto m = start(problem, grouping, 4);
        const double before = objective(w, m, hd);
        const auto log = solve_aqlm(problem, m, {.rounds = 4, .codebook_steps = 60}, cpu_backend());
        m.validate("w");
        REQUIRE(log.objective.size() == 5);
        CHECK(log.objective.front() == Approx(before).epsilon(1e-3));
        for (std::size_t i = 1; i < 5; ++i) CHECK(log.objective[i] <= log.objective[i - 1] * (1 + 1e-4));
        const double after = objective(w, m, hd);
        CHECK(log.objective.back() == Approx(after).epsilon(2e-3));
        CHECK(after < 0.7 * before);
        // No element of a codeword can move either way and gain more than what float16 takes.
        if (m.layout.dimension > 1) {
            for (const std::int64_t i : {3, 17, 40}) {
                for (const float factor : {0.97F, 1.03F}) {
                    auto other = m.clone();
                    other.codebooks.data<float>()[i] *= factor;
                    CHECK(objective(w, other, hd) >= after * (1 - 1e-3));
                }
            }
        }
        // After many cycles with fixed codebooks no single code can change and gain.
        auto settled = m.clone();
        solve_aqlm(problem, settled, {.rounds = 1, .cycles = 30, .codebook_steps = 0}, cpu_backend());
        const auto reached = objective(w, settled, hd);
        if (!settled.scales.defined()) {
            for (const std::int64_t at : {std::int64_t{0}, std::int64_t{101}, settled.mapping.size() - 1}) {
                for (std::uint8_t code = 0; code < 16; ++code) {
                    auto other = settled.clone();
                    other.mapping.data<std::uint8_t>()[at] = code;
                    CHECK(objective(w, other, hd) >= reached * (1 - 1e-4));
                }
            }
        }
        for (const float c : m.codebooks.values<float>()) CHECK(c == float_from_f16(f16_from_float(c)));
    }
}

TEST_CASE("aqlm gives the same bytes at any number of threads, and solves sets of rows with their moments") {
    const Tensor w = normal({60, 64}, 3);
    LayerProblem problem{"w", w, correlated_moments(64, 150, 4), 0};
    const int threads = thread_count();
    for (const bool weighted : {false, true}) {
        if (weighted) problem.weighted_moments = {problem.second_moments, correlated_moments(64, 150, 5)};
        std::vector<CompressedMatrix> found;
        for (const int count : {1, 3}) {
            set_thread_count(count);
            found.push_back(start(problem, "{type: vectors, dimension: 4, stages: 2}", 5));
            const auto log = solve_aqlm(problem, found.back(), {}, cpu_backend());
            CHECK(log.objective.back() < 0.8 * log.objective.front());
        }
        set_thread_count(threads);
        CHECK(found[0].identical(found[1]));
    }
    auto scalar = start(problem, "per_row", 2);
    CHECK_THROWS_WITH(solve_aqlm(problem, scalar, {}, cpu_backend()), Catch::Contains("vectors"));
}
