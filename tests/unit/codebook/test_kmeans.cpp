#include "core/base/rng.hpp"
#include "core/codebook/kmeans.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

double cost(const std::vector<float>& v, const std::vector<float>& w, std::size_t begin, std::size_t end) {
    double mass = 0;
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) {
        mass += static_cast<double>(w[i]);
        sum += static_cast<double>(w[i]) * static_cast<double>(v[i]);
    }
    if (mass == 0) return 0;
    double total = 0;
    for (std::size_t i = begin; i < end; ++i)
        total += static_cast<double>(w[i]) * std::pow(static_cast<double>(v[i]) - sum / mass, 2);
    return total;
}

/// The best clustering into at most k intervals of the sorted values, by trying all of them.
double brute_force(const std::vector<float>& v, const std::vector<float>& w, std::size_t begin, int k) {
    if (begin == v.size()) return 0;
    if (k == 1) return cost(v, w, begin, v.size());
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t end = begin + 1; end <= v.size(); ++end)
        best = std::min(best, cost(v, w, begin, end) + brute_force(v, w, end, k - 1));
    return best;
}

/// The same by a quadratic dynamic programme, for larger inputs.
double quadratic(const std::vector<float>& v, const std::vector<float>& w, int k) {
    const std::size_t n = v.size();
    std::vector<double> previous(n + 1, std::numeric_limits<double>::infinity());
    previous[0] = 0;
    for (int layer = 0; layer < k; ++layer) {
        std::vector<double> next(n + 1, std::numeric_limits<double>::infinity());
        next[0] = 0;
        for (std::size_t i = 1; i <= n; ++i) {
            double mass = 0;
            double sum = 0;
            double squares = 0;
            for (std::size_t j = i; j-- > 0;) {
                const auto x = static_cast<double>(v[j]) - static_cast<double>(v[n / 2]);
                const auto y = static_cast<double>(w[j]);
                mass += y;
                sum += y * x;
                squares += y * x * x;
                const double c = mass > 0 ? std::max(0.0, squares - sum * sum / mass) : 0;
                next[i] = std::min(next[i], previous[j] + c);
            }
        }
        previous = next;
    }
    return previous[n];
}

double distance_to(const std::vector<float>& v, const std::vector<float>& w,
                   const std::vector<float>& codewords) {
    double total = 0;
    for (std::size_t i = 0; i < v.size(); ++i) {
        double nearest = std::numeric_limits<double>::infinity();
        for (const float c : codewords)
            nearest = std::min(nearest, std::pow(static_cast<double>(v[i]) - static_cast<double>(c), 2));
        total += static_cast<double>(w[i]) * nearest;
    }
    return total;
}

struct Sample {
    std::vector<float> values;   // sorted, so that the references need not sort
    std::vector<float> weights;  // of the sorted values
    std::vector<float> shuffled;
    std::vector<float> shuffled_weights;
};

Sample sample(std::size_t n, std::uint64_t seed, int kind) {
    const Rng rng(seed, "kmeans test");
    std::vector<std::pair<float, float>> pairs;
    for (std::size_t i = 0; i < n; ++i) {
        auto x = static_cast<float>(rng.normal(i));
        if (kind == 1) x = x * x * x;            // heavy tails
        if (kind == 2) x = std::round(x * 3);    // many equal values
        if (kind == 3) x = 1000.0F + x * 0.01F;  // far from zero
        auto w = static_cast<float>(rng.uniform(i + 100000));
        if (kind == 2 && i % 3 == 0) w = 0;
        pairs.emplace_back(x, w);
    }
    Sample s;
    for (const auto& [x, w] : pairs) {
        s.shuffled.push_back(x);
        s.shuffled_weights.push_back(w);
    }
    std::sort(pairs.begin(), pairs.end());
    for (const auto& [x, w] : pairs) {
        s.values.push_back(x);
        s.weights.push_back(w);
    }
    return s;
}

}  // namespace

TEST_CASE("exact 1-D k-means finds the optimum that brute force finds") {
    KMeans1d kmeans;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        const std::size_t n = 1 + seed % 12;
        const auto s = sample(n, seed, static_cast<int>(seed % 4));
        const std::vector<float> ones(n, 1.0F);
        for (int k = 1; k <= 5; ++k) {
            std::vector<float> codewords(static_cast<std::size_t>(k));
            const double plain = kmeans.exact(s.shuffled, {}, codewords);
            CHECK(plain == Approx(brute_force(s.values, ones, 0, k)).margin(1e-9));
            CHECK(distance_to(s.values, ones, codewords) == Approx(plain).margin(1e-6));
            CHECK(std::is_sorted(codewords.begin(), codewords.end()));
            const double weighted = kmeans.exact(s.shuffled, s.shuffled_weights, codewords);
            const bool none = std::all_of(s.weights.begin(), s.weights.end(), [](float w) { return w == 0; });
            CHECK(weighted == Approx(brute_force(s.values, none ? ones : s.weights, 0, k)).margin(1e-9));
        }
    }
}

void check_against_quadratic(std::initializer_list<std::size_t> sizes, std::initializer_list<int> counts) {
    KMeans1d kmeans;
    for (const std::size_t n : sizes) {
        for (int kind = 0; kind < 4; ++kind) {
            const auto s = sample(n, n, kind);
            const std::vector<float> ones(n, 1.0F);
            for (const int k : counts) {
                std::vector<float> codewords(static_cast<std::size_t>(k));
                const double scale = kind == 3 ? 1e-4 : 1;
                CHECK(kmeans.exact(s.shuffled, {}, codewords) ==
                      Approx(quadratic(s.values, ones, k)).epsilon(1e-9).margin(1e-6 * scale));
                CHECK(kmeans.exact(s.shuffled, s.shuffled_weights, codewords) ==
                      Approx(quadratic(s.values, s.weights, k)).epsilon(1e-9).margin(1e-6 * scale));
            }
        }
    }
}

TEST_CASE("exact 1-D k-means equals a quadratic dynamic programme on larger inputs") {
    check_against_quadratic({17, 63, 64, 65, 200, 511, 1000}, {2, 3, 4, 8, 16});
}

TEST_CASE("exact 1-D k-means with many codewords equals a quadratic dynamic programme") {
    check_against_quadratic({80, 300, 511}, {32, 64, 256});
    KMeans1d kmeans;
    // Evenly spaced: from 64 values to a cluster of two or three each, many counts are best at one price.
    std::vector<float> grid(150);
    std::iota(grid.begin(), grid.end(), 0.0F);
    std::vector<float> codewords(64);
    CHECK(kmeans.exact(grid, {}, codewords) ==
          Approx(quadratic(grid, std::vector<float>(grid.size(), 1.0F), 64)));
}

TEST_CASE("k-means beyond the table of reciprocals is still exact") {
    // The same values 20 times over cost 20 times the error of one copy.
    const auto s = sample(4000, 7, 0);
    std::vector<float> many;
    for (int copy = 0; copy < 20; ++copy) many.insert(many.end(), s.shuffled.begin(), s.shuffled.end());
    KMeans1d kmeans;
    std::vector<float> few_codewords(4);
    std::vector<float> many_codewords(4);
    const double few = kmeans.exact(s.shuffled, {}, few_codewords);
    CHECK(kmeans.exact(many, {}, many_codewords) == Approx(20 * few).epsilon(1e-9));
    CHECK(few_codewords == many_codewords);
}

TEST_CASE("k-means with fewer distinct values than codewords keeps every value") {
    KMeans1d kmeans;
    std::vector<float> codewords(4, -1.0F);
    CHECK(kmeans.exact(std::vector<float>{2, 1, 2, 1, 1}, {}, codewords) == 0);
    CHECK(codewords == std::vector<float>{1, 2, 2, 2});
    CHECK(kmeans.exact(std::vector<float>(100, 3.5F), {}, codewords) == 0);
    CHECK(codewords == std::vector<float>(4, 3.5F));
    CHECK(kmeans.exact(std::vector<float>{0.0F, -0.0F}, {}, codewords) == 0);
    CHECK(codewords == std::vector<float>(4, 0.0F));
    CHECK(kmeans.exact(std::vector<float>{}, {}, codewords) == 0);
    CHECK(codewords == std::vector<float>(4, 0.0F));
    CHECK(kmeans.lloyd(std::vector<float>{2, 1, 2, 1, 1}, {}, 10, codewords) == 0);
    CHECK(codewords == std::vector<float>{1, 2, 2, 2});
}

TEST_CASE("k-means ignores weights that are all zero, and values of weight zero") {
    KMeans1d kmeans;
    const std::vector<float> values{0, 1, 10, 11};
    std::vector<float> codewords(2);
    kmeans.exact(values, std::vector<float>(4, 0.0F), codewords);
    CHECK(codewords == std::vector<float>{0.5F, 10.5F});
    kmeans.exact(values, std::vector<float>{1, 0, 0, 1}, codewords);
    CHECK(codewords == std::vector<float>{0, 11});
}

TEST_CASE("Lloyd ends in a fixed point that is no better than the optimum") {
    KMeans1d kmeans;
    for (int kind = 0; kind < 4; ++kind) {
        const auto s = sample(500, 11, kind);
        std::vector<float> codewords(4);
        const double optimum = kmeans.exact(s.shuffled, {}, codewords);
        const double local = kmeans.lloyd(s.shuffled, {}, 1000, codewords);
        CHECK(local >= optimum * (1 - 1e-12));
        CHECK(local <= optimum * 2 + 1e-12);
        CHECK(distance_to(s.values, std::vector<float>(500, 1.0F), codewords) ==
              Approx(local).epsilon(1e-3).margin(1e-6));
    }
}

TEST_CASE("assign_nearest finds the nearest codeword, ties to the lower one") {
    const Rng rng(3, "assign");
    for (const std::size_t k : {1, 2, 3, 4, 16, 32, 33, 256}) {
        std::vector<float> codewords(k);
        for (std::size_t i = 0; i < k; ++i) codewords[i] = static_cast<float>(rng.normal(i));
        std::sort(codewords.begin(), codewords.end());
        std::vector<float> values(301);
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.normal(1000 + i));
        values[0] = codewords[0];
        values[1] = 1e30F;
        values[2] = -1e30F;
        std::vector<std::uint8_t> codes(values.size());
        assign_nearest(values, codewords, codes);
        for (std::size_t i = 0; i < values.size(); ++i) {
            float best = std::numeric_limits<float>::infinity();
            for (const float c : codewords) best = std::min(best, std::abs(values[i] - c));
            CHECK(std::abs(values[i] - codewords[codes[i]]) == Approx(best).margin(1e-6));
        }
    }
    std::vector<std::uint8_t> tie(1);
    assign_nearest(std::vector<float>{1.5F}, std::vector<float>{1, 2}, tie);
    CHECK(tie[0] == 0);
}
