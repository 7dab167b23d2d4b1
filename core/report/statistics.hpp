#pragma once
// What tables say about several figures of one thing.

#include <optional>
#include <span>

namespace jlcm {

struct MeanAndError {
    double mean = 0;
    std::optional<double> error;  ///< standard error of the mean; none for one value
};

/// Of at least one value.
[[nodiscard]] MeanAndError mean_and_error(std::span<const double> values);

/// The two-sided p-value of the paired t-test for a difference in means (Student, Biometrika 1908): how
/// likely a difference this large is where there is none. Nothing for fewer than two pairs; 1 where all pairs
/// agree, 0 where all differ by the same amount.
[[nodiscard]] std::optional<double> paired_t_test(std::span<const double> first,
                                                  std::span<const double> second);

}  // namespace jlcm
