#include "plugins/solver/gptq/gptq.hpp"

namespace jlcm {

void GptqParameters::fields(Fields& v) {
    v("damping", damping,
      Doc{"Share of the mean second moment that is added to each.", "GPTQ, arXiv 2210.17323, section 3.3"},
      Range{.low = 0.0, .high = 1.0});
    v("order", order, Doc{"Which columns are mapped first."});
    v("refit", refit,
      Doc{"Find the scales (and offsets) of column groups anew from the weights as feedback has changed them, "
          "as the published method does; in natural order only. None: they stay the initialiser's."});
}

namespace {

class GptqSolver : public Solver {
  public:
    using Options = GptqParameters;
    explicit GptqSolver(const Options& options) : options_(options) {}
    [[nodiscard]] DataNeeds needs() const override { return {.second_moments = true}; }
    /// Feedback, and the factor of the inverse.
    [[nodiscard]] double products() const override { return 2; }
    SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix, Backend& backend) const override {
        return solve_gptq(problem, matrix, options_, backend);
    }

  private:
    Options options_;
};

const Registrar<Solver, GptqSolver> registrar{
    "gptq",
    "Maps column after column, each making up for the errors of those before it; codebooks stay the "
    "initialiser's (uniform for the published method).",
    "GPTQ, arXiv 2210.17323"};

}  // namespace
}  // namespace jlcm
