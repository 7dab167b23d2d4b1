#pragma once
// Plugin kind "objective": what joint learning of a block's codebooks and mappings minimises.

#include "core/codebook/data_needs.hpp"
#include "core/learn/block_learner.hpp"
#include "core/plugin/registry.hpp"

#include <memory>
#include <vector>

namespace jlcm {

/// A linear layer to learn, and what its inputs look like.
struct LearnedLayer {
    ParameterId parameter = -1;
    /// float32 [cols, cols]: sum of x x^T over the layer's inputs, one for each of its groups of consecutive
    /// rows (a linear layer has one group). Empty unless the objective wants them.
    std::vector<Tensor> second_moments;
};

/// A block whose learning begins. The model holds a CompressedMatrix for each of `layers`, and takes the
/// result. References outlive the learner.
struct LearningProblem {
    const Executor& executor;
    const Block& block;
    CompressedModel& model;
    std::vector<LearnedLayer> layers;
    Tensor inputs;   ///< [samples, ...] float32: what the block is fed, if wanted
    Tensor targets;  ///< the original block's outputs, if wanted
    const BlockLearningOptions& options;
    std::uint64_t seed = 0;
};

class Objective {
  public:
    Objective() = default;
    Objective(const Objective&) = delete;
    Objective& operator=(const Objective&) = delete;
    virtual ~Objective() = default;

    /// What the learner reads: `activations` for `inputs` and `targets` of the problem, `second_moments` for
    /// the `second_moments` of its layers.
    [[nodiscard]] virtual DataNeeds needs() const = 0;
    [[nodiscard]] virtual std::unique_ptr<Trainable> learner(const LearningProblem& problem) const = 0;
};

template <>
struct KindOf<Objective> {
    static constexpr std::string_view name = "objective";
    static constexpr std::string_view doc = "The loss that joint learning of a block minimises.";
};

}  // namespace jlcm
