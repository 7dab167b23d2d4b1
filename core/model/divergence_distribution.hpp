#pragma once
// How KL is distributed over predictions. The mean hides that most predictions hardly change and a few change
// altogether, mostly those of which the original was not sure itself.

#include "core/base/json.hpp"

#include <array>
#include <span>
#include <string_view>
#include <vector>

namespace jlcm {

/// One prediction of a model against the original's.
struct Divergence {
    float kl = 0;  ///< KL(original || model), nats
    float confidence =
        0;  ///< how sure the original is, in [0, 1]: its probability of the token that follows, or
            ///< of the class that it takes for the most likely one
};

/// The keys of kl_distribution that hold a number.
inline constexpr std::array<std::string_view, 3> kl_quantiles{"kl_median", "kl_p90", "kl_p99"};

/// The quantile `q` in [0, 1] of values in ascending order (at least one), between two of them by linear
/// interpolation.
[[nodiscard]] double quantile(std::span<const float> sorted, double q);

/// Of at least one prediction: `kl_median`, `kl_p90`, `kl_p99` in nats, and `kl_by_confidence`, a list of
/// {"from", "to", "predictions", "mean", "median", "p90", "p99"} over ranges of the original's confidence,
/// those without a prediction left out. If any KL is not finite the three are NaN and there is no list.
[[nodiscard]] nlohmann::json kl_distribution(std::span<const Divergence> predictions);

}  // namespace jlcm
