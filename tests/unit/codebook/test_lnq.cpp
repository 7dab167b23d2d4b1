#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/kmeans.hpp"
#include "plugins/solver/lnq/lnq.hpp"
#include "tests/unit/codebook/layer_fixtures.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

/// Per-group k-means codebooks (groups without scales) and the nearest mapping.
CompressedMatrix start(const Tensor& w, Layout layout) {
    CompressedMatrix m = CompressedMatrix::zeros(layout);
    const auto groups = layout.row_group_of_rows();
    const auto cols = static_cast<std::size_t>(layout.cols);
    const auto k = static_cast<std::size_t>(layout.codewords());
    KMeans1d kmeans;
    for (std::int64_t g = 0; g < layout.codebooks(); ++g) {
        std::vector<float> values;
        for (std::size_t r = 0; r < groups.size(); ++r) {
            if (!layout.shared_codebook && groups[r] != g) continue;
            const auto row = w.values<float>().subspan(r * cols, cols);
            values.insert(values.end(), row.begin(), row.end());
        }
        auto book = m.codebooks.values<float>().subspan(static_cast<std::size_t>(g) * k, k);
        kmeans.exact(values, {}, book);
    }
    m.round_to_storage("start");
    for (std::size_t r = 0; r < groups.size(); ++r) {
        const auto g = layout.shared_codebook ? 0 : static_cast<std::size_t>(groups[r]);
        assign_nearest(w.values<float>().subspan(r * cols, cols),
                       m.codebooks.values<float>().subspan(g * k, k),
                       m.mapping.values<std::uint8_t>().subspan(r * cols, cols));
    }
    return m;
}

/// One cycle of coordinate descent in double precision, column by column, as the definition says.
void naive_cycle(const Tensor& w, CompressedMatrix& m, const std::vector<double>& h) {
    const auto n = static_cast<std::size_t>(w.cols());
    const auto k = static_cast<std::size_t>(m.layout.codewords());
    const Tensor d = decode(m);
    const auto groups = m.layout.row_group_of_rows();
    for (std::size_t row = 0; row < static_cast<std::size_t>(w.rows()); ++row) {
        std::vector<double> r(n);
        for (std::size_t j = 0; j < n; ++j)
            r[j] = static_cast<double>(d.data<float>()[row * n + j]) -
                   static_cast<double>(w.data<float>()[row * n + j]);
        const float* book = m.codebooks.data<float>() + static_cast<std::size_t>(groups[row]) * k;
        for (std::size_t j = 0; j < n; ++j) {
            double slope = 0;
            for (std::size_t i = 0; i < n; ++i) slope += h[j * n + i] * r[i];
            auto& code = m.mapping.data<std::uint8_t>()[row * n + j];
            const double present = static_cast<double>(book[code]);
            const double wanted = present - slope / h[j * n + j];
            std::size_t best = 0;
            for (std::size_t c = 1; c < k; ++c) {
                if (std::abs(static_cast<double>(book[c]) - wanted) <
                    std::abs(static_cast<double>(book[best]) - wanted))
                    best = c;
            }
            r[j] += static_cast<double>(book[best]) - present;
            code = static_cast<std::uint8_t>(best);
        }
    }
}

}  // namespace

TEST_CASE("lnq's mapping step is coordinate descent in double precision, up to ties") {
    for (const int bits : {1, 2, 3, 4, 5, 8}) {
        const std::int64_t rows = 53;
        const std::int64_t cols = 71;
        const Tensor w = normal({rows, cols}, 1);
        const Tensor h = correlated_moments(cols, 300, 2);
        auto m = start(w, Layout::per_row(rows, cols, bits));
        // The first codebook step, then one cycle, then a last codebook step: undo the latter by comparing
        // codes.
        LnqParameters parameters;
        auto fast = m.clone();
        parameters.rounds = 0;
        solve_lnq({"w", w, h, 0}, m, parameters);
        auto naive = m.clone();
        naive_cycle(w, naive, damped(h, parameters.damping));
        parameters.rounds = 1;
        const auto log = solve_lnq({"w", w, h, 0}, fast, parameters);
        // The last codebook step moved the codewords, so codes are compared; with 8 bits codewords repeat.
        std::int64_t different = 0;
        for (std::int64_t i = 0; i < fast.mapping.size(); ++i)
            different +=
                fast.mapping.data<std::uint8_t>()[i] != naive.mapping.data<std::uint8_t>()[i] ? 1 : 0;
        if (bits < 8) CHECK(different <= rows * cols / 100);
        CHECK(log.objective.size() == 2);
        CHECK(log.objective[1] <= log.objective[0]);
        // float32 sums: exact to a millionth of w^T H w.
        auto nothing = CompressedMatrix::zeros(Layout::per_row(rows, cols, bits));
        const double energy = objective(w, nothing, damped(h, parameters.damping));
        CHECK(log.objective[1] ==
              Approx(objective(w, fast, damped(h, parameters.damping))).margin(1e-6 * energy));
    }
}

/// The codebook step alone, on `m`, and whether the codewords `tried` are where they should be. Sums are
/// float32: exact to `unsure`.
void check_least_squares(const Tensor& w, const Tensor& h, CompressedMatrix m,
                         std::initializer_list<std::int64_t> tried, double unsure) {
    LnqParameters parameters;
    parameters.rounds = 0;
    const auto hd = damped(h, parameters.damping);
    const double before = objective(w, m, hd);
    const auto log = solve_lnq({"w", w, h, 0}, m, parameters);
    CHECK(log.objective.front() == Approx(before).epsilon(1e-5).margin(unsure));
    const double after = objective(w, m, hd);
    CHECK(log.objective.back() == Approx(after).epsilon(1e-4).margin(unsure));
    CHECK(after < before);
    // No codeword can move either way and gain.
    for (const std::int64_t i : tried) {
        for (const float factor : {0.99F, 1.01F}) {
            auto other = m.clone();
            other.codebooks.data<float>()[i] *= factor;
            CHECK(objective(w, other, hd) >= after);
        }
    }
    for (const float c : m.codebooks.values<float>()) CHECK(c == float_from_f16(f16_from_float(c)));
}

TEST_CASE("lnq's codebooks are least-squares solutions") {
    const std::int64_t cols = 130;
    const Tensor w = normal({50, cols}, 3);
    const Tensor h = correlated_moments(cols, 400, 4);
    check_least_squares(w, h, start(w, Layout::per_row(50, cols, 2)), {0, 5, 77, 199}, 0);
    // Many codewords leave little of w^T H w, whose millionth the sums know.
    const double unsure = 1e-6 * objective(w, CompressedMatrix::zeros(Layout::per_row(50, cols, 2)),
                                           damped(h, LnqParameters{}.damping));
    check_least_squares(w, h, start(w, Layout::per_tensor(50, cols, 7)), {0, 5, 33, 66, 77, 99, 127}, unsure);
    Layout halves = Layout::per_row(50, cols, 8);
    halves.row_groups = 2;
    halves.runs = {{0, 1}, {20, 0}};
    check_least_squares(w, h, start(w, halves), {0, 5, 77, 199, 256, 300, 400, 511}, unsure);
}

TEST_CASE("lnq never raises the objective, whatever the groups") {
    const std::int64_t rows = 120;
    const std::int64_t cols = 64;
    const Tensor w = normal({rows, cols}, 5);
    const Tensor h = correlated_moments(cols, 200, 6);
    Layout runs = Layout::per_row(rows, cols, 2);
    runs.row_groups = 3;
    runs.runs = {{0, 0}, {10, 2}, {60, 1}, {100, 0}};
    Layout shared = runs;
    shared.shared_codebook = true;
    for (int kind = 0; kind < 5; ++kind) {
        auto m = start(w, kind == 0 ? Layout::per_tensor(rows, cols, 2) : kind < 3 ? runs : shared);
        if (kind >= 2) m.scales = Tensor::from<float>({3}, std::vector<float>{1.0F, 0.5F, 2.0F});
        if (kind == 4) m.offsets = Tensor::from<float>({3}, std::vector<float>{0.1F, 0.0F, -0.1F});
        if (kind == 1) {
            m.row_order.resize(static_cast<std::size_t>(rows));
            for (std::int32_t i = 0; i < rows; ++i)
                m.row_order[static_cast<std::size_t>(i)] = static_cast<std::int32_t>((i * 7) % rows);
        }
        m.round_to_storage("w");
        LnqParameters parameters;
        parameters.rounds = 4;
        const auto hd = damped(h, parameters.damping);
        const double before = objective(w, m, hd);
        const auto log = solve_lnq({"w", w, h, 0}, m, parameters);
        m.validate("w");
        REQUIRE(log.objective.size() == 5);
        CHECK(log.objective.front() == Approx(before).epsilon(1e-5));
        for (std::size_t i = 1; i < 5; ++i) CHECK(log.objective[i] <= log.objective[i - 1] * (1 + 1e-6));
        CHECK(log.objective.back() == Approx(objective(w, m, hd)).epsilon(1e-4));
        CHECK(log.objective.back() < 0.8 * before);
    }
}

namespace {

/// A row that is small enough to try every mapping.
struct TinyRow {
    Tensor weights;
    Tensor second_moments;
    std::vector<double> damped_moments;
    CompressedMatrix first;  ///< what lnq starts from: k-means and the nearest codewords
};

TinyRow tiny_row(std::int64_t cols, int bits, std::uint64_t trial) {
    TinyRow row{.weights = normal({1, cols}, 100 + trial),
                .second_moments = correlated_moments(cols, 30, 500 + trial),
                .damped_moments = {},
                .first = {}};
    row.damped_moments = damped(row.second_moments, LnqParameters{}.damping);
    row.first = start(row.weights, Layout::per_row(1, cols, bits));
    return row;
}

double solve(const TinyRow& row, CompressedMatrix& matrix, int rounds) {
    LnqParameters parameters;
    parameters.rounds = rounds;
    solve_lnq({"w", row.weights, row.second_moments, 0}, matrix, parameters);
    return objective(row.weights, matrix, row.damped_moments);
}

/// The best of all mappings, each with its least-squares codebook.
CompressedMatrix best_of_all(const TinyRow& row) {
    const std::int64_t cols = row.weights.cols();
    const std::int64_t words = row.first.layout.codewords();
    std::int64_t mappings = 1;
    for (std::int64_t j = 0; j < cols; ++j) mappings *= words;
    CompressedMatrix best = row.first;
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t mapping = 0; mapping < mappings; ++mapping) {
        auto other = row.first.clone();
        for (std::int64_t j = 0, rest = mapping; j < cols; ++j, rest /= words)
            other.mapping.data<std::uint8_t>()[j] = static_cast<std::uint8_t>(rest % words);
        const double reached = solve(row, other, 0);
        if (reached >= least) continue;
        least = reached;
        best = std::move(other);
    }
    return best;
}

/// What codewords in float16 may cost.
constexpr double rounding = 2e-3;

}  // namespace

TEST_CASE("lnq against the optimum of tiny rows that brute force finds") {
    struct Case {
        std::int64_t cols;
        int bits;
        int rows;
        int optimal_at_once;       ///< rows, at least, that are solved from k-means
        int optimal_from_several;  ///< rows, at least, that the best of several starts solves
    };
    for (const Case& c : {Case{6, 1, 100, 50, 95}, Case{5, 2, 20, 13, 19}}) {
        int at_once = 0;
        int from_several = 0;
        double found = 0;
        double found_of_several = 0;
        double optimum = 0;
        for (int number = 0; number < c.rows; ++number) {
            const TinyRow row = tiny_row(c.cols, c.bits, static_cast<std::uint64_t>(number));
            auto best = best_of_all(row);
            const double least = objective(row.weights, best, row.damped_moments);
            const double energy =
                objective(row.weights, CompressedMatrix::zeros(best.layout), row.damped_moments);
            const double unsure = rounding * least + 1e-6 * energy;
            // It never leaves the optimum.
            CHECK(solve(row, best, 5) <= least + unsure);

            auto solved = row.first.clone();
            const double reached = solve(row, solved, 20);
            CHECK(reached >= least - unsure);
            // Where it ends, no weight by itself has a better codeword.
            for (std::int64_t j = 0; j < c.cols; ++j) {
                for (int k = 0; k < solved.layout.codewords(); ++k) {
                    auto other = solved.clone();
                    other.mapping.data<std::uint8_t>()[j] = static_cast<std::uint8_t>(k);
                    CHECK(objective(row.weights, other, row.damped_moments) >= reached - unsure);
                }
            }
            // Coordinate descent ends in the nearest of several minima; other starts find the others.
            double least_of_several = reached;
            const Rng rng(static_cast<std::uint64_t>(number), "mappings");
            for (std::uint64_t begin = 0; begin < 16; ++begin) {
                auto other = row.first.clone();
                for (std::int64_t j = 0; j < c.cols; ++j)
                    other.mapping.data<std::uint8_t>()[j] = static_cast<std::uint8_t>(
                        rng.bits(begin * 16 + static_cast<std::uint64_t>(j)) % (1U << c.bits));
                least_of_several = std::min(least_of_several, solve(row, other, 20));
            }
            at_once += reached <= least + unsure ? 1 : 0;
            from_several += least_of_several <= least + unsure ? 1 : 0;
            found += reached;
            found_of_several += least_of_several;
            optimum += least;
        }
        INFO(c.bits << " bits: " << at_once << " and " << from_several << " of " << c.rows
                    << " optimal, sums " << found / optimum << " and " << found_of_several / optimum
                    << " of the optimum's");
        CHECK(at_once >= c.optimal_at_once);
        CHECK(from_several >= c.optimal_from_several);
        CHECK(found < 1.6 * optimum);
        CHECK(found_of_several < 1.05 * optimum);
    }
}

TEST_CASE("lnq with weighted second moments solves each set of rows on its own") {
    const std::int64_t rows = 100;
    const std::int64_t cols = 64;
    const Tensor w = normal({rows, cols}, 21);
    LayerProblem weighted{"w", w, correlated_moments(cols, 200, 22), 0};
    weighted.weighted_moments = {correlated_moments(cols, 200, 23), correlated_moments(cols, 200, 24),
                                 correlated_moments(cols, 200, 25)};
    auto together = start(w, Layout::per_row(rows, cols, 2));
    const auto begin = together.clone();
    solve_lnq(weighted, together, {});
    const auto sets = weighted.row_sets();
    REQUIRE(sets.size() == 3);
    CHECK(sets.front().begin == 0);
    CHECK(sets.back().end == rows);
    for (const RowSet& set : sets) {
        auto alone = begin.clone();
        solve_lnq({"w", w, set.second_moments, 0}, alone, {});
        const Tensor expected = decode(alone).slice(set.begin, set.end);
        const Tensor found = decode(together).slice(set.begin, set.end);
        CHECK(std::ranges::equal(expected.values<float>(), found.values<float>()));
    }
    // Codebooks that span sets, rows out of order: the sum of the sets' objectives never rises.
    Layout runs = Layout::per_row(rows, cols, 2);
    runs.row_groups = 2;
    runs.runs = {{0, 1}, {45, 0}};
    auto grouped = start(w, runs);
    grouped.row_order.resize(static_cast<std::size_t>(rows));
    for (std::int32_t i = 0; i < rows; ++i)
        grouped.row_order[static_cast<std::size_t>(i)] = static_cast<std::int32_t>((i * 7) % rows);
    const auto total = [&](const CompressedMatrix& m) {
        const Tensor decoded = decode(m);
        double sum = 0;
        for (const RowSet& set : sets)
            for (std::int64_t row = set.begin; row < set.end; ++row)
                sum += row_objective(w, decoded, damped(set.second_moments, 1e-3), row);
        return sum;
    };
    const double before = total(grouped);
    const auto log = solve_lnq(weighted, grouped, {});
    CHECK(log.objective.front() == Approx(before).epsilon(1e-4));
    CHECK(log.objective.back() == Approx(total(grouped)).epsilon(1e-3));
    CHECK(log.objective.back() < 0.8 * before);
}

TEST_CASE("lnq stays at a fixed point") {
    const Tensor w = normal({60, 96}, 7);
    const Tensor h = correlated_moments(96, 500, 8);
    auto m = start(w, Layout::per_row(60, 96, 2));
    LnqParameters parameters;
    parameters.rounds = 60;
    solve_lnq({"w", w, h, 0}, m, parameters);
    auto again = m.clone();
    parameters.rounds = 1;
    const auto log = solve_lnq({"w", w, h, 0}, again, parameters);
    CHECK(log.objective.back() == Approx(log.objective.front()).epsilon(1e-4));
    std::int64_t different = 0;
    for (std::int64_t i = 0; i < m.mapping.size(); ++i)
        different += m.mapping.data<std::uint8_t>()[i] != again.mapping.data<std::uint8_t>()[i] ? 1 : 0;
    CHECK(different < m.mapping.size() / 200);
}

TEST_CASE("lnq gives the same bytes at any number of threads") {
    const Tensor w = normal({300, 128}, 9);
    const Tensor h = correlated_moments(128, 300, 10);
    Layout runs = Layout::per_row(300, 128, 3);
    runs.row_groups = 2;
    runs.runs = {{0, 0}, {130, 1}};
    for (const auto& layout : {Layout::per_row(300, 128, 3), runs}) {
        auto one = start(w, layout);
        auto two = one.clone();
        const int threads = thread_count();
        set_thread_count(1);
        solve_lnq({"w", w, h, 0}, one, {});
        set_thread_count(3);
        solve_lnq({"w", w, h, 0}, two, {});
        set_thread_count(threads);
        CHECK(one.identical(two));
    }
}

TEST_CASE("lnq handles singular, empty and hostile second moments") {
    const std::int64_t cols = 40;
    const Tensor w = normal({20, cols}, 11);
    const auto begin = start(w, Layout::per_row(20, cols, 2));
    const auto solve = [&](const Tensor& h, std::int64_t samples) {
        auto m = begin.clone();
        const auto log = solve_lnq({"blk.q", w, h, samples}, m, {});
        m.validate("blk.q");
        const Tensor decoded = decode(m);
        for (const float v : decoded.values<float>()) REQUIRE(std::isfinite(v));
        for (std::size_t i = 1; i < log.objective.size(); ++i)
            CHECK(log.objective[i] <= log.objective[i - 1] * (1 + 1e-6) + 1e-12);
        return log.notes;
    };
    CHECK(solve(correlated_moments(cols, 5, 12), 5).size() == 1);  // fewer samples than columns
    CHECK_FALSE(solve(Tensor::zeros({cols, cols}), 0).empty());    // nothing known
    Tensor silent = correlated_moments(cols, 100, 13);
    for (std::int64_t j = 0; j < cols; ++j)
        silent.data<double>()[3 * cols + j] = silent.data<double>()[j * cols + 3] = 0;
    CHECK(solve(silent, 100).size() == 1);
    Tensor rank_one = Tensor::empty({cols, cols});
    for (auto& v : rank_one.values<float>()) v = 1;
    solve(rank_one, 0);

    Tensor bad = correlated_moments(cols, 100, 13);
    bad.data<double>()[7 * cols + 2] = std::numeric_limits<double>::quiet_NaN();
    auto m = begin.clone();
    CHECK_THROWS_WITH(solve_lnq({"blk.q", w, bad, 0}, m, {}), Catch::Contains("blk.q: row 7"));
    bad = correlated_moments(cols, 100, 13);
    bad.data<double>()[0] = -1;
    CHECK_THROWS_WITH(solve_lnq({"blk.q", w, bad, 0}, m, {}), Catch::Contains("negative"));
    CHECK_THROWS_WITH(solve_lnq({"blk.q", w, {}, 0}, m, {}), Catch::Contains("second moments"));
    Tensor nan = w.clone();
    nan.data<float>()[5 * cols] = std::numeric_limits<float>::infinity();
    CHECK_THROWS_WITH(solve_lnq({"blk.q", nan, silent, 0}, m, {}), Catch::Contains("row 5 of the weights"));
}

TEST_CASE("lnq with zero rows, equal weights and more codewords than values") {
    const std::int64_t cols = 64;
    Tensor w = normal({3, cols}, 14);
    for (std::int64_t j = 0; j < cols; ++j) {
        w.data<float>()[j] = 0;
        w.data<float>()[cols + j] = 0.5F;
        w.data<float>()[2 * cols + j] = j % 2 == 0 ? 0.25F : -0.75F;
    }
    auto m = start(w, Layout::per_row(3, cols, 2));
    solve_lnq({"w", w, correlated_moments(cols, 100, 15), 0}, m, {});
    m.validate("w");
    const Tensor d = decode(m);
    for (std::int64_t i = 0; i < w.size(); ++i)
        CHECK(d.data<float>()[i] == Approx(w.data<float>()[i]).margin(1e-4));
}
