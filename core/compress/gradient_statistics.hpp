#pragma once
// What the gradient of the loss of predictions says of a model's linear layers: how much each weight matters
// (diagonal Fisher information: SqueezeLLM, arXiv 2306.07629, section 4.1), and how much each token matters
// to a set of outputs (GuidedQuant, arXiv 2505.07004, section 3).

#include "core/codebook/data_needs.hpp"
#include "core/model/model.hpp"
#include "core/store/saved_state.hpp"

#include <map>
#include <set>

namespace jlcm {

struct GradientStatistics {
    /// By weight, float32 [out, in]: mean over samples of the squared gradient of a sample's summed loss.
    std::map<ParameterId, Tensor> fisher;
    /// By linear node (convolutions of several groups left out), float32 [samples * rows that the weight is
    /// multiplied with in one, row_sets]: mean over the outputs j of a set (as
    /// row_set_begin cuts them) of (dl / dz_tj)^2, divided by the layer's mean over tokens and sets.
    std::map<NodeId, Tensor> token_weights;
    double loss = 0;  ///< mean negative log-likelihood of a prediction, nats
};

/// What `needs` has of Fisher information and row sets: a forward and a backward of each of `samples` through
/// `model`, for the weights in `wanted`. Tokens (int32 [n, length]) predict the next one. Of other samples no
/// label is known: it is drawn from what the model predicts, which makes the mean of squares the Fisher
/// information itself. Memory: the model in the type `compute`, one sample's block inputs, one block's
/// activations, and the statistics. Same bytes at any number of threads.
[[nodiscard]] GradientStatistics gradient_statistics(const Executor& executor, const WeightSource& model,
                                                     const Tensor& samples, const DataNeeds& needs,
                                                     const std::set<ParameterId>& wanted);

/// All of it as a state, and back, to the same bits.
[[nodiscard]] SavedState state_of(const GradientStatistics& statistics);
[[nodiscard]] GradientStatistics gradients_from(const SavedState& state);

}  // namespace jlcm
