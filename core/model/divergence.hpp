#pragma once
// How far one model's predictions are from another's, by what the numbers mean (core/graph/output.hpp). These
// are the models whose scores lie in memory; language models have Backend::score_tokens and kl_backward.

#include "core/backend/backend.hpp"
#include "core/graph/output.hpp"

#include <span>
#include <string>
#include <vector>

namespace jlcm {

/// Probabilities that are known as such, and not by logits, count as at least this much: float32's smallest
/// normal number. Of labels also 1 - p does, by float32's resolution below 1.
inline constexpr double probability_floor = 0x1p-126;
inline constexpr double label_probability_floor = 0x1p-24;

/// Whether the numbers are scores of labels that do not exclude each other.
[[nodiscard]] bool are_labels(OutputMeaning meaning);

/// One prediction of the original, against which others are held.
class Reference {
  public:
    /// `scores`: of the classes or labels of one prediction; `compared_as` neither values nor
    /// log_probabilities. An input error where they are said to be probabilities and are none.
    Reference(OutputMeaning compared_as, std::span<const float> scores);

    /// KL(original || model) in nats: of the distribution over classes, or summed over labels, each a
    /// distribution of its own.
    [[nodiscard]] double divergence(std::span<const float> scores) const;
    /// The probability of the most likely class, or label.
    [[nodiscard]] double confidence() const;
    /// Log-probabilities of classes, logits of labels.
    [[nodiscard]] const std::vector<double>& logits() const { return logits_; }

  private:
    OutputMeaning compared_as_;
    std::vector<double> logits_;  ///< of classes: log-probabilities
};

/// How KL is computed, for protocols, where it is not that of a softmax of logits; empty there.
[[nodiscard]] std::string describe_divergence(OutputMeaning compared_as);

/// The loss that distillation minimises, of features [rows, classes] against the original's: the mean of
/// KL(original || model) over rows, in nats; of values the squared error over the original's sum of squares.
/// `slope` [rows, classes] becomes `share` times its gradient. Float32; logits have Backend::kl_backward. The
/// same at any number of threads.
[[nodiscard]] double distillation_loss(OutputMeaning compared_as, const Tensor& features,
                                       const Tensor& original, double share, Tensor& slope);

}  // namespace jlcm
