// Quantiles are NumPy's; confidence cuts predictions into ranges that hold each of them once.

#include "core/model/divergence_distribution.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

TEST_CASE("quantiles are interpolated as NumPy does") {
    const std::vector<float> values{0, 1, 2, 3, 4, 5, 6, 7, 8, 10};
    CHECK(quantile(values, 0) == 0);
    CHECK(quantile(values, 0.5) == Approx(4.5));
    CHECK(quantile(values, 0.9) == Approx(8.2));
    CHECK(quantile(values, 0.99) == Approx(9.82));
    CHECK(quantile(values, 1) == 10);
    CHECK(quantile(std::vector<float>{3}, 0.9) == 3);
}

TEST_CASE("KL is spread over ranges of the original's confidence") {
    const std::vector<Divergence> predictions{{.kl = 4, .confidence = 0},
                                              {.kl = 2, .confidence = 0.1F},
                                              {.kl = 1, .confidence = 0.25F},
                                              {.kl = 0.5F, .confidence = 0.95F},
                                              {.kl = 0, .confidence = 1}};
    const auto figures = kl_distribution(predictions);
    CHECK(figures.at("kl_median") == 1);
    CHECK(figures.at("kl_p90") == Approx(3.2));
    CHECK(figures.at("kl_p99") == Approx(3.92));
    const auto& ranges = figures.at("kl_by_confidence");
    REQUIRE(ranges.size() == 3);
    CHECK(ranges[0].at("from") == 0);
    CHECK(ranges[0].at("predictions") == 2);
    CHECK(ranges[0].at("mean") == 3);
    CHECK(ranges[1].at("from") == 0.25);
    CHECK(ranges[1].at("median") == 1);
    CHECK(ranges[2].at("to") == 1);
    CHECK(ranges[2].at("predictions") == 2);
    CHECK(ranges[2].at("median") == 0.25);
}

TEST_CASE("of what is not finite there is no distribution") {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        const auto figures =
            kl_distribution(std::vector<Divergence>{{.kl = 1, .confidence = 0.5F}, {.kl = bad}});
        for (const auto key : kl_quantiles) CHECK(std::isnan(figures.at(std::string(key)).get<double>()));
        CHECK_FALSE(figures.contains("kl_by_confidence"));
    }
}

}  // namespace
