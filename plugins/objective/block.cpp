#include "core/learn/objective.hpp"

namespace jlcm {
namespace {

class BlockObjective final : public Objective {
  public:
    using Options = NoOptions;
    [[nodiscard]] DataNeeds needs() const override { return {.activations = true}; }
    std::unique_ptr<Trainable> learner(const LearningProblem& problem) const override {
        return make_block_learner(problem.executor, problem.block, problem.model, problem.inputs,
                                  problem.targets, problem.options, problem.seed);
    }
};

const Registrar<Objective, BlockObjective> registrar{
    "block", "Squared error of the block's output against the original model's.",
    "Li et al., BRECQ, ICLR 2021, section 3.2"};

}  // namespace
}  // namespace jlcm
