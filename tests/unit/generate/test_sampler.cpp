// Sampling against distributions worked out the long way.

#include "core/base/error.hpp"
#include "core/generate/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

Tensor logits_of(const std::vector<float>& values) {
    return Tensor::from<float>({std::ssize(values)}, values);
}

std::map<std::int32_t, double> distribution(const std::vector<float>& logits, const SamplingOptions& options,
                                            const std::vector<std::int32_t>& seen = {}) {
    std::map<std::int32_t, double> result;
    for (const auto& each : token_distribution(logits_of(logits), seen, options))
        result[each.id] = each.probability;
    return result;
}

/// Each step as its definition says, on all tokens, those that are out at minus infinity.
std::map<std::int32_t, double> expected(const std::vector<float>& logits, const SamplingOptions& o,
                                        const std::vector<std::int32_t>& seen) {
    const double out = -std::numeric_limits<double>::infinity();
    std::vector<double> s(logits.begin(), logits.end());
    for (const auto id : std::set<std::int32_t>(seen.begin(), seen.end()))
        s[static_cast<std::size_t>(id)] *=
            s[static_cast<std::size_t>(id)] < 0 ? o.repetition_penalty : 1 / o.repetition_penalty;
    for (double& each : s) each /= o.temperature;
    const auto softmax = [&] {
        const double highest = *std::ranges::max_element(s);
        std::vector<double> p;
        for (const double each : s) p.push_back(std::exp(each - highest));
        const double sum = std::accumulate(p.begin(), p.end(), 0.0);
        for (double& each : p) each /= sum;
        return p;
    };
    if (o.top_k > 0 && o.top_k < std::ssize(s)) {
        auto sorted = s;
        std::ranges::sort(sorted, std::greater());
        const double least = sorted[static_cast<std::size_t>(o.top_k - 1)];
        for (double& each : s) each = each < least ? out : each;
    }
    auto p = softmax();
    if (o.top_p < 1) {
        const auto before = p;
        for (std::size_t i = 0; i < s.size(); ++i) {
            double above = 0;
            for (std::size_t j = 0; j < s.size(); ++j)
                if (before[j] > before[i] || (before[j] == before[i] && j < i)) above += before[j];
            if (above > 0 && above >= o.top_p) s[i] = out;
        }
        p = softmax();
    }
    const double least = o.min_p * *std::ranges::max_element(p);
    for (std::size_t i = 0; i < s.size(); ++i)
        if (p[i] < least) s[i] = out;
    p = softmax();
    std::map<std::int32_t, double> result;
    for (std::size_t i = 0; i < s.size(); ++i)
        if (s[i] > out) result[static_cast<std::int32_t>(i)] = p[i];
    return result;
}

}  // namespace

TEST_CASE("greedy sampling takes the most likely token, the lowest of equals") {
    CHECK(distribution({1, 3, 2, 3}, {}) == std::map<std::int32_t, double>{{1, 1.0}});
    CHECK(distribution({-1e30F, -2e30F}, {}) == std::map<std::int32_t, double>{{0, 1.0}});
    CHECK(distribution({5}, {}) == std::map<std::int32_t, double>{{0, 1.0}});
    CHECK(distribution({3, 2.9F, -1, -1.1F}, {.repetition_penalty = 2}, {0, 0}) ==
          std::map<std::int32_t, double>{{1, 1.0}});
    CHECK(distribution({-3, -2.9F}, {.repetition_penalty = 2}, {1}) ==
          std::map<std::int32_t, double>{{0, 1.0}});
}

TEST_CASE("every step of sampling leaves what its definition says") {
    const std::vector<float> logits{2.0F,  -1.0F, 0.5F, 2.0F, 1.9F,
                                    -8.0F, 0.0F,  3.1F, 0.5F, -std::numeric_limits<float>::infinity()};
    const std::vector<std::int32_t> seen{7, 1, 7};
    for (const double temperature : {0.3, 1.0, 4.0})
        for (const std::int64_t k : {0, 1, 3, 50})
            for (const double p : {0.05, 0.7, 0.95, 1.0})
                for (const double m : {0.0, 0.2, 1.0})
                    for (const double penalty : {1.0, 1.3, 0.5}) {
                        const SamplingOptions options{.temperature = temperature,
                                                      .top_k = k,
                                                      .top_p = p,
                                                      .min_p = m,
                                                      .repetition_penalty = penalty};
                        const auto ours = distribution(logits, options, seen);
                        auto theirs = expected(logits, options, seen);
                        INFO("temperature " << temperature << ", top-k " << k << ", top-p " << p << ", min-p "
                                            << m << ", penalty " << penalty);
                        double sum = 0;
                        for (const auto& [id, probability] : ours) {
                            sum += probability;
                            CHECK(probability == Approx(theirs[id]).margin(1e-12));
                        }
                        CHECK(sum == Approx(1));
                        for (const auto& [id, probability] : theirs)
                            if (probability > 1e-12) CHECK(ours.contains(id));
                    }
}

TEST_CASE("extreme temperatures and equal logits make a distribution") {
    CHECK(distribution({1, 1, 1, 1}, {.temperature = 1, .top_p = 0.5}).size() == 2);
    CHECK(distribution({1, 1, 1, 1}, {.temperature = 1, .top_k = 2}).size() == 4);
    CHECK(distribution({1, 2}, {.temperature = 1e-300}).at(1) == 1);
    CHECK(distribution({1, 2}, {.temperature = 1e300}).at(0) == Approx(0.5));
    CHECK(distribution({3e38F, -3e38F}, {.temperature = 1}).at(0) == 1);
}

TEST_CASE("draws follow the distribution, and equal seeds draw equally") {
    const std::vector<float> logits{0, 1, 2, -1};
    const SamplingOptions options{.temperature = 0.8, .seed = 3};
    const auto wanted = distribution(logits, options);
    Sampler sampler(options);
    Sampler same(options);
    Sampler other(options, 1);
    std::map<std::int32_t, int> counts;
    int differences = 0;
    constexpr int draws = 20000;
    for (int i = 0; i < draws; ++i) {
        const auto id = sampler.next(logits_of(logits), {});
        ++counts[id];
        REQUIRE(same.next(logits_of(logits), {}) == id);
        differences += other.next(logits_of(logits), {}) != id ? 1 : 0;
    }
    for (const auto& [id, probability] : wanted)
        CHECK(counts[id] == Approx(draws * probability).margin(4 * std::sqrt(draws * probability)));
    CHECK(differences > draws / 10);
}

TEST_CASE("logits that are not finite are an error and no token") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    for (const double temperature : {0.0, 1.0}) {
        const SamplingOptions options{.temperature = temperature};
        CHECK_THROWS_WITH(distribution({1, nan, 2}, options), Catch::Contains("token 1 is nan"));
        CHECK_THROWS_AS(distribution({1, infinity}, options), Error);
        CHECK_THROWS_AS(distribution({-infinity, -infinity}, options), Error);
        CHECK(distribution({-infinity, 0}, options).at(1) == 1);
    }
}

TEST_CASE("options of sampling that are out of range are all named") {
    try {
        require_valid({.temperature = -1, .top_k = -1, .top_p = 0, .min_p = 2, .repetition_penalty = 0});
        FAIL("accepted");
    } catch (const Error& error) {
        for (const char* name : {"temperature", "top-k", "top-p", "min-p", "penalty"})
            CHECK(std::string(error.what()).find(name) != std::string::npos);
    }
    CHECK_THROWS_AS(require_valid({.temperature = std::numeric_limits<double>::quiet_NaN()}), Error);
}
