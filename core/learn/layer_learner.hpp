#pragma once
// Joint learning of codebooks, scales and mappings of linear layers, each on its own second moments:
// tr((W^ - W) H (W^ - W)^T). No forward or backward: the gradient is 2 (W^ - W) H, the exact curvature 2
// H_jj.

#include "core/learn/objective.hpp"

namespace jlcm {

/// Learns the layers of `model`, which must hold a CompressedMatrix for each; one step is a step of every
/// layer. It reads none of the options that are about samples (batch, norm_rate). Records of steps: {"step",
/// "loss" (mean over layers of the squared output error over that of predicting zero), "moved" (share of
/// weights), "jumps" (histogram)}.
[[nodiscard]] std::unique_ptr<Trainable> make_layer_learner(const std::vector<LearnedLayer>& layers,
                                                            CompressedModel& model,
                                                            const BlockLearningOptions& options,
                                                            Backend& backend);

/// The cost of learning the layers of every block: the stage "learn".
[[nodiscard]] StageCost layer_learner_cost(const GraphSizes& sizes, const BlockLearningOptions& options,
                                           const CodesOfWeight& codes);

}  // namespace jlcm
