#pragma once
// Where an axis of a plot begins and ends, and what stands on it.

#include <string>
#include <utility>
#include <vector>

namespace jlcm {

struct Axis {
    double low = 0;
    double high = 1;
    bool is_log = false;
    std::vector<std::pair<double, std::string>> ticks = {};

    /// 0 at the low end, 1 at the high one; what lies outside is put on the end it lies behind.
    [[nodiscard]] double share(double value) const;
    /// Whether a value is finite and lies on the axis.
    [[nodiscard]] bool holds(double value) const;
};

struct AxisWish {
    bool log = false;      ///< logarithmic if it can be
    double log_from = 3;   ///< and if the largest value is more than so many times the smallest
    bool whole = false;    ///< every value lies on the axis, however far outside
    double margin = 0.05;  ///< at either end, of the axis' length
    int ticks = 5;         ///< about how many
};

/// An axis for the finite ones of `values`. It can be logarithmic if all are positive. A value far outside the others sets no end: one beyond the quartiles by more than 5 times
/// their distance (a wide form of Tukey's fences, on the axis' own scale), of at least eight different values.
[[nodiscard]] Axis robust_axis(std::vector<double> values, AxisWish wish);

/// A number as ticks show it: 1200000 is "1.2M".
[[nodiscard]] std::string tick_text(double value, int digits = 3);

}  // namespace jlcm
