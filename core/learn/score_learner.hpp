#pragma once
// What the estimators with a score for each candidate share: a mapping is the argmax of scores over a window
// of codewords, and only the gradient of a score differs: a rule, which a plugin brings as a kernel
// (core/learn/score_kernel.hpp).
//
// Scores are measured in spacings of the codebook: a candidate starts half as far below the present codeword
// as the weight is farther from it than from the present one, so that the score of the neighbour meets that
// of the present codeword after as many steps as the latent number of `nearest` would take to its cell's
// border, at the same rate. A rule's gradients are divided by the largest of them, so that a rate means the
// same under each.

#include "core/learn/estimator.hpp"
#include "core/learn/latent.hpp"
#include "core/learn/score_step.hpp"
#include "core/spec/fields.hpp"

#include <functional>
#include <span>
#include <string>

namespace jlcm {

enum class ScoreStart : std::uint8_t { distance, even };
inline EnumNames<ScoreStart> enum_names(ScoreStart /*tag*/) {
    return {{ScoreStart::distance, "distance",
             "a candidate is half as far behind as it is farther from the original weight, in spacings"},
            {ScoreStart::even, "even", "all candidates are half a spacing behind"}};
}

inline EnumNames<SecondMoment> enum_names(SecondMoment /*tag*/) {
    return {{SecondMoment::weight, "weight", "one running mean per weight, shared by its scores"},
            {SecondMoment::score, "score",
             "one per score: element-wise Adam, which cancels any factor between candidates"},
            {SecondMoment::none, "none",
             "one constant per matrix, the first gradient's root mean square: descent with momentum"}};
}

struct ScoreOptions {
    double rate = 0.02;
    ScoreStart start = ScoreStart::distance;
    StartMargin margin{};
    int window = 9;
    SecondMoment second_moment = SecondMoment::weight;

    void fields(Fields& v);
    /// Scores of a weight of 2^bits codewords.
    [[nodiscard]] int window_of(int bits) const;
    [[nodiscard]] double bytes_per_weight(const CodeShape& codes) const;
    /// Estimator::position_options.
    [[nodiscard]] std::string of_positions() const;
};

/// The first score of a candidate that is `farther` from the weight than the present codeword, in spacings.
[[nodiscard]] float starting_score(ScoreStart start, float farther, float margin);

/// Writes the first scores of a weight's window [window], whose first codeword it returns: 0 for the present
/// one, for each other one as `start` says, but at least `margin` (in spacings) below.
int start_scores(const PlacedWeight& weight, ScoreStart start, float margin, std::span<float> scores);

/// T of the rule at a share of all steps in [0, 1].
using Temperature = std::function<double(double progress)>;

/// `target`: the original weights, stored row order. `kernel`: the rule's, of this processor's instruction
/// set.
[[nodiscard]] std::unique_ptr<MappingLearner> make_score_learner(const CompressedMatrix& matrix,
                                                                 const Tensor& target, ScoreKernel kernel,
                                                                 const ScoreOptions& options,
                                                                 Temperature temperature);

}  // namespace jlcm
