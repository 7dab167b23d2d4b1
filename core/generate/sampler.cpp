#include "core/generate/sampler.hpp"

#include "core/base/error.hpp"
#include "core/base/refusals.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace jlcm {
namespace {

struct Candidate {
    std::int32_t id = 0;
    double score = 0;  ///< a logit, then a probability
};

void require_usable(std::span<const float> logits) {
    bool any = false;
    for (std::size_t id = 0; id < logits.size(); ++id) {
        const float value = logits[id];
        require(
            std::isfinite(value) || (std::isinf(value) && value < 0),
            "the model's logits are not finite (that of token {} is {}): its weights are damaged, or bfloat16 does not "
            "hold its values (--compute float32 does)",
            id, value);
        any = any || !std::isinf(value);
    }
    require(any, "the model's logits are all minus infinity: no token can follow");
}

std::vector<Candidate> penalised(std::span<const float> logits, std::span<const std::int32_t> seen,
                                 double penalty) {
    std::vector<Candidate> candidates(logits.size());
    for (std::size_t id = 0; id < logits.size(); ++id)
        candidates[id] = {static_cast<std::int32_t>(id), static_cast<double>(logits[id])};
    if (penalty == 1) return candidates;
    for (const std::int32_t id : std::set<std::int32_t>(seen.begin(), seen.end())) {
        double& score = candidates.at(static_cast<std::size_t>(id)).score;
        score = score < 0 ? score * penalty : score / penalty;
    }
    return candidates;
}

void keep_most_likely(std::vector<Candidate>& candidates, std::int64_t count) {
    if (count <= 0 || count >= std::ssize(candidates)) return;
    std::vector<double> scores;
    scores.reserve(candidates.size());
    for (const Candidate& each : candidates) scores.push_back(each.score);
    std::ranges::nth_element(scores, scores.begin() + count - 1, std::greater());
    const double least = scores[static_cast<std::size_t>(count - 1)];
    std::erase_if(candidates, [&](const Candidate& each) { return each.score < least; });
}

void normalise(std::vector<Candidate>& candidates) {
    double sum = 0;
    for (const Candidate& each : candidates) sum += each.score;
    for (Candidate& each : candidates) each.score /= sum;
}

/// Scores at a temperature become probabilities.
void soften(std::vector<Candidate>& candidates, double temperature) {
    const double highest = std::ranges::max(candidates, {}, &Candidate::score).score;
    for (Candidate& each : candidates) each.score = std::exp((each.score - highest) / temperature);
    normalise(candidates);
}

void keep_nucleus(std::vector<Candidate>& candidates, double share) {
    if (share >= 1) return;
    std::ranges::stable_sort(candidates, std::greater(), &Candidate::score);
    double before = 0;
    std::size_t kept = 0;
    while (kept < candidates.size() && (kept == 0 || before < share)) before += candidates[kept++].score;
    candidates.resize(kept);
    normalise(candidates);
}

void keep_from_share(std::vector<Candidate>& candidates, double share) {
    if (share <= 0) return;
    const double least = share * std::ranges::max(candidates, {}, &Candidate::score).score;
    std::erase_if(candidates, [&](const Candidate& each) { return each.score < least; });
    normalise(candidates);
}

}  // namespace

void require_valid(const SamplingOptions& options) {
    Refusals refusals;
    const auto check = [&](bool holds, std::string_view what, double value, std::string_view range) {
        refusals.check([&] { require(holds, "{} is {}: expected {}", what, value, range); });
    };
    check(options.temperature >= 0 && std::isfinite(options.temperature), "the temperature",
          options.temperature, "a number from 0 (greedy)");
    check(options.top_k >= 0, "top-k", static_cast<double>(options.top_k), "a whole number from 0 (all)");
    check(options.top_p > 0 && options.top_p <= 1, "top-p", options.top_p,
          "a number above 0, at most 1 (all)");
    check(options.min_p >= 0 && options.min_p <= 1, "min-p", options.min_p, "a number from 0 (all) to 1");
    check(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty),
          "the repetition penalty", options.repetition_penalty, "a number above 0; 1 is none");
    refusals.throw_if_any();
}

std::vector<TokenProbability> token_distribution(const Tensor& logits, std::span<const std::int32_t> seen,
                                                 const SamplingOptions& options) {
    require_usable(logits.values<float>());
    std::vector<Candidate> candidates = penalised(logits.values<float>(), seen, options.repetition_penalty);
    if (options.temperature <= 0)
        return {{std::ranges::max_element(candidates, {}, &Candidate::score)->id, 1.0}};
    keep_most_likely(candidates, options.top_k);
    soften(candidates, options.temperature);
    keep_nucleus(candidates, options.top_p);
    keep_from_share(candidates, options.min_p);
    std::vector<TokenProbability> result;
    result.reserve(candidates.size());
    for (const Candidate& each : candidates) result.push_back({each.id, each.score});
    return result;
}

Sampler::Sampler(const SamplingOptions& options, std::uint64_t stream)
    : options_(options), rng_(options.seed, fmt::format("generate {}", stream)) {
    require_valid(options);
}

std::int32_t Sampler::next(const Tensor& logits, std::span<const std::int32_t> seen) {
    const auto distribution = token_distribution(logits, seen, options_);
    const double drawn = rng_.uniform(draws_++);
    double sum = 0;
    for (const TokenProbability& each : distribution) {
        sum += each.probability;
        if (drawn < sum) return each.id;
    }
    // The sum of all may be a little below 1.
    const auto last = std::ranges::find_if(distribution.rbegin(), distribution.rend(),
                                           [](const TokenProbability& each) { return each.probability > 0; });
    return last->id;
}

}  // namespace jlcm
