#include "plugins/solver/lnq/lnq.hpp"

namespace jlcm {

void LnqParameters::fields(Fields& v) {
    v("rounds", rounds,
      Doc{"Mapping step and codebook step in turn. Two give most of the gain; each costs the same again."},
      Range{.low = 0, .high = 1000});
    v("cycles", cycles, Doc{"Passes of coordinate descent over the columns in each mapping step."},
      Range{.low = 1, .high = 100});
    v("damping", damping,
      Doc{"Share of the mean second moment that is added to each. More helps if there are few calibration "
          "inputs."},
      Range{.low = 0.0, .high = 1.0});
}

namespace {

class LnqSolver : public Solver {
  public:
    using Options = LnqParameters;
    explicit LnqSolver(const Options& options) : options_(options) {}
    [[nodiscard]] DataNeeds needs() const override { return {.second_moments = true}; }
    /// A cycle is one; normal equations of the codebooks half of one.
    [[nodiscard]] double products() const override { return 1.0 + options_.rounds * (options_.cycles + 0.5); }
    SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix,
                    Backend& /*backend*/) const override {
        return solve_lnq(problem, matrix, options_);
    }

  private:
    Options options_;
};

const Registrar<Solver, LnqSolver> registrar{
    "lnq",
    "Codebooks in closed form and mapping by coordinate descent, in turn, on the layer's output error.",
    "GuidedQuant, arXiv 2505.07004, section 4"};

}  // namespace
}  // namespace jlcm
