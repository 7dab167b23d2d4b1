#include "core/model/divergence_distribution.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace jlcm {
namespace {

/// Where the ranges of confidence begin and end.
constexpr std::array bounds{0.0, 0.25, 0.5, 0.75, 0.9, 1.0};

std::vector<float> sorted_kl(std::span<const Divergence> predictions, double from, double to) {
    std::vector<float> values;
    for (const auto& [kl, confidence] : predictions) {
        const auto sure = static_cast<double>(confidence);
        if (sure >= from && (sure < to || to == bounds.back())) values.push_back(kl);
    }
    std::ranges::sort(values);
    return values;
}

}  // namespace

double quantile(std::span<const float> sorted, double q) {
    ensure(!sorted.empty() && q >= 0 && q <= 1, "the quantile {} of {} values", q, sorted.size());
    const double at = q * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    const auto low = static_cast<double>(sorted[below]);
    return low + (at - static_cast<double>(below)) * (static_cast<double>(sorted[above]) - low);
}

nlohmann::json kl_distribution(std::span<const Divergence> predictions) {
    ensure(!predictions.empty(), "the distribution of nothing");
    const bool is_finite = std::ranges::all_of(predictions, [](const Divergence& each) {
        return std::isfinite(each.kl) && std::isfinite(each.confidence);
    });
    if (!is_finite) {
        constexpr double nan = std::numeric_limits<double>::quiet_NaN();
        return {{"kl_median", nan}, {"kl_p90", nan}, {"kl_p99", nan}};
    }
    const auto all = sorted_kl(predictions, bounds.front(), bounds.back());
    nlohmann::json result{{"kl_median", quantile(all, 0.5)},
                          {"kl_p90", quantile(all, 0.9)},
                          {"kl_p99", quantile(all, 0.99)},
                          {"kl_by_confidence", nlohmann::json::array()}};
    for (std::size_t b = 0; b + 1 < bounds.size(); ++b) {
        const auto values = sorted_kl(predictions, bounds.at(b), bounds.at(b + 1));
        if (values.empty()) continue;
        const double sum = std::accumulate(values.begin(), values.end(), 0.0);
        result["kl_by_confidence"].push_back({{"from", bounds.at(b)},
                                              {"to", bounds.at(b + 1)},
                                              {"predictions", values.size()},
                                              {"mean", sum / static_cast<double>(values.size())},
                                              {"median", quantile(values, 0.5)},
                                              {"p90", quantile(values, 0.9)},
                                              {"p99", quantile(values, 0.99)}});
    }
    return result;
}

}  // namespace jlcm
