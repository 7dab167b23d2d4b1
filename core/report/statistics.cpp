#include "core/report/statistics.hpp"

#include "core/base/error.hpp"

#include <cmath>
#include <numeric>
#include <vector>

#include <boost/math/distributions/students_t.hpp>

namespace jlcm {

MeanAndError mean_and_error(std::span<const double> values) {
    ensure(!values.empty(), "the mean of nothing");
    const auto n = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    if (values.size() < 2) return {mean, {}};
    double squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    return {mean, std::sqrt(squares / (n - 1) / n)};
}

std::optional<double> paired_t_test(std::span<const double> first, std::span<const double> second) {
    ensure(first.size() == second.size(), "pairs of {} and {} values", first.size(), second.size());
    if (first.size() < 2) return std::nullopt;
    std::vector<double> differences;
    for (std::size_t i = 0; i < first.size(); ++i) differences.push_back(first[i] - second[i]);
    const auto [mean, error] = mean_and_error(differences);
    if (!error || !std::isfinite(mean) || !std::isfinite(*error)) return std::nullopt;
    if (*error == 0) return mean == 0 ? 1.0 : 0.0;
    const boost::math::students_t distribution(static_cast<double>(first.size() - 1));
    return 2 * boost::math::cdf(boost::math::complement(distribution, std::abs(mean / *error)));
}

}  // namespace jlcm
