#include "core/learn/layer_learner.hpp"

namespace jlcm {
namespace {

class LayerObjective final : public Objective {
  public:
    using Options = NoOptions;
    [[nodiscard]] DataNeeds needs() const override { return {.second_moments = true}; }
    std::unique_ptr<Trainable> learner(const LearningProblem& problem) const override {
        return make_layer_learner(problem.layers, problem.model, problem.options, problem.executor.backend());
    }
};

const Registrar<Objective, LayerObjective> registrar{
    "layer",
    "Squared error of each linear layer's output on the solver's inputs: no forward or backward, hence no "
    "batch, inputs or norm_rate.",
    "Nagel et al., AdaRound, ICML 2020, section 3.2"};

}  // namespace
}  // namespace jlcm
