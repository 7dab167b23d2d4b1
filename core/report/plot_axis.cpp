#include "core/report/plot_axis.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace jlcm {
namespace {

/// Values beyond the quartiles by more than so many times their distance are far outside.
constexpr double fence = 5;

double scaled(const Axis& axis, double value) {
    return axis.is_log ? std::log(value) : value;
}

/// The smallest and the largest value that are not far outside, of values in ascending order.
std::pair<double, double> ends_without_outliers(const std::vector<double>& sorted) {
    std::vector<double> different = sorted;
    const auto rest = std::ranges::unique(different);
    different.erase(rest.begin(), rest.end());
    if (different.size() < 8) return {sorted.front(), sorted.back()};
    const auto at = [&](double share) {
        return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
    };
    const double reach = fence * (at(0.75) - at(0.25));
    const auto low = std::ranges::lower_bound(sorted, at(0.25) - reach);
    const auto behind = std::ranges::upper_bound(sorted, at(0.75) + reach);
    return {*low, *std::prev(behind)};
}

std::vector<double> linear_ticks(double low, double high, int about) {
    const double rough = (high - low) / about;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    double step = 10 * power;
    for (const double nice : {1.0, 2.0, 5.0})
        if (nice * power >= rough * 0.99) {
            step = nice * power;
            break;
        }
    std::vector<double> ticks;
    for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k)
        ticks.push_back(k * step);
    return ticks;
}

std::vector<double> log_ticks(double low, double high, int about) {
    const double decades = std::log10(high / low);
    if (decades < 0.8) return linear_ticks(low, high, about);
    std::vector<double> steps{1};
    if (decades < 1.7) {
        steps = {1, 2, 3, 5};
    } else if (decades < 3.2) {
        steps = {1, 3};
    }
    const int every = std::max(1, static_cast<int>(std::lround(decades / (about + 2))));
    std::vector<double> ticks;
    const int first = static_cast<int>(std::floor(std::log10(low)));
    for (int power = first; power <= static_cast<int>(std::ceil(std::log10(high))); ++power) {
        if (power % every != 0) continue;
        for (const double step : steps)
            if (const double tick = step * std::pow(10.0, power); tick >= low && tick <= high)
                ticks.push_back(tick);
    }
    return ticks;
}

}  // namespace

double Axis::share(double value) const {
    if (is_log && value <= 0) return 0;
    return std::clamp(
        (scaled(*this, value) - scaled(*this, low)) / (scaled(*this, high) - scaled(*this, low)), 0.0, 1.0);
}

bool Axis::holds(double value) const {
    return std::isfinite(value) && value >= low && value <= high;
}

Axis robust_axis(std::vector<double> values, AxisWish wish) {
    std::erase_if(values, [](double value) { return !std::isfinite(value); });
    Axis axis;
    if (values.empty()) return axis;
    std::ranges::sort(values);
    if (wish.log && values.back() > 0) {
        std::vector<double> positive = values;
        std::erase_if(positive, [](double value) { return value <= 0; });
        axis.is_log = positive.size() == values.size() && positive.back() > wish.log_from * positive.front();
    }
    if (axis.is_log)
        std::ranges::transform(values, values.begin(), [](double value) { return std::log(value); });
    auto [low, high] = wish.whole ? std::pair(values.front(), values.back()) : ends_without_outliers(values);
    const double length = high > low ? high - low : std::max(std::abs(high) * 0.1, 1e-9);
    low -= wish.margin * length;
    high += wish.margin * length;
    // What is never negative has no negative numbers on its axis.
    if (!axis.is_log && values.front() >= 0) low = std::max(low, 0.0);
    axis.low = axis.is_log ? std::exp(low) : low;
    axis.high = axis.is_log ? std::exp(high) : high;
    const auto ticks = axis.is_log ? log_ticks(axis.low, axis.high, wish.ticks)
                                   : linear_ticks(axis.low, axis.high, wish.ticks);
    // As many digits as tell neighbours apart.
    int digits = 3;
    const auto are_alike = [&](double a, double b) { return tick_text(a, digits) == tick_text(b, digits); };
    while (digits < 9 && std::ranges::adjacent_find(ticks, are_alike) != ticks.end()) ++digits;
    for (const double tick : ticks) axis.ticks.emplace_back(tick, tick_text(tick, digits));
    return axis;
}

std::string tick_text(double value, int digits) {
    static constexpr std::array<std::pair<double, const char*>, 3> units{
        {{1e9, "G"}, {1e6, "M"}, {1e4, "k"}}};
    if (std::abs(value) < 1e-12) return "0";
    for (const auto& [from, unit] : units)
        if (std::abs(value) >= from * 0.9999)
            return fmt::format("{:.{}g}{}", value / (from == 1e4 ? 1e3 : from), digits, unit);
    return fmt::format("{:.{}g}", value, std::max(digits, std::abs(value) >= 1000 ? 4 : 1));
}

}  // namespace jlcm
