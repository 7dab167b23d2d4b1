#pragma once
// How likely models find continuations of texts.

#include "core/model/scoring.hpp"

namespace jlcm {

/// Tokens, and where those that are scored begin (at least 1).
struct Continuation {
    std::span<const std::int32_t> ids;
    std::size_t begin = 1;
};

/// Of each continuation the sum of its tokens' log-probabilities, nats. The model must predict tokens from
/// those before (a head, causal attention). `progress(done)` is called now and then. `greedy`, if not null,
/// receives for each continuation the most likely token in place of each of its tokens (the first of equals).
[[nodiscard]] std::vector<double> log_likelihoods(const BoundModel& model,
                                                  const std::vector<Continuation>& continuations,
                                                  const std::function<void(std::int64_t)>& progress = {},
                                                  std::vector<std::vector<std::int32_t>>* greedy = nullptr);

}  // namespace jlcm
