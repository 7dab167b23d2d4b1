#pragma once
// From logits to the next token.

#include "core/base/rng.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace jlcm {

/// The steps come in the order of Hugging Face's generate(): repetition penalty, temperature, top-k, top-p, min-p. (In
/// llama.cpp the temperature comes last, so that top-p and min-p cut by probabilities at temperature 1.)
struct SamplingOptions {
    double temperature = 0;  ///< 0: greedy, the most likely token, the lowest id of equals
    std::int64_t top_k =
        0;             ///< only the k most likely tokens, and all that are as likely as the k-th; 0: all
    double top_p = 1;  ///< the fewest most likely tokens that together have this probability; in (0, 1]
    double min_p = 0;  ///< tokens with at least this share of the most likely one's probability; in [0, 1]
    /// Positive logits of tokens in the text so far, the prompt included, are divided by it, negative ones
    /// multiplied (Keskar et al., "CTRL", 2019, section 4.1); > 0.
    double repetition_penalty = 1;
    std::uint64_t seed = 0;
};

/// One input error with everything that is out of range.
void require_valid(const SamplingOptions& options);

struct TokenProbability {
    std::int32_t id = 0;
    double probability = 0;
};

/// What a token is drawn from: those that no step took out, their probabilities of sum 1; of greedy sampling one
/// token. `logits`: float32 [vocabulary]; `seen`: the text so far, ids in the vocabulary. An input error where a logit
/// is NaN or positive infinity, or all are negative infinity.
[[nodiscard]] std::vector<TokenProbability> token_distribution(const Tensor& logits,
                                                               std::span<const std::int32_t> seen,
                                                               const SamplingOptions& options);

/// Draws tokens one after another.
class Sampler {
  public:
    /// Draws of different streams are independent; equal seeds and streams give equal draws.
    explicit Sampler(const SamplingOptions& options, std::uint64_t stream = 0);
    [[nodiscard]] std::int32_t next(const Tensor& logits, std::span<const std::int32_t> seen);

  private:
    SamplingOptions options_;
    Rng rng_;
    std::uint64_t draws_ = 0;
};

}  // namespace jlcm
