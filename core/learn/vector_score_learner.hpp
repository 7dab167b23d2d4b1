#pragma once
// The estimators with scores (score_learner.hpp) for codewords that are vectors, or several stages that are
// added up: each code has scores for the codewords nearest to the one that it names.

#include "core/learn/estimator.hpp"
#include "core/learn/score_learner.hpp"

#include <memory>

namespace jlcm {

/// `target`: the original weights, stored row order. `kernel`: the rule's, of this processor's instruction
/// set. Which codewords are each other's nearest is decided by the codebooks as they are now.
[[nodiscard]] std::unique_ptr<VectorMappingLearner> make_vector_score_learner(const CompressedMatrix& matrix,
                                                                              const Tensor& target,
                                                                              VectorScoreKernel kernel,
                                                                              const ScoreOptions& options,
                                                                              Temperature temperature);

}  // namespace jlcm
