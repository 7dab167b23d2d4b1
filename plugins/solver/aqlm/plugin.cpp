#include "plugins/solver/aqlm/aqlm.hpp"

namespace jlcm {

void AqlmParameters::fields(Fields& v) {
    v("rounds", rounds, Doc{"Codes, then codebooks and scales, in turn."}, Range{.low = 0, .high = 1000});
    v("cycles", cycles, Doc{"Passes over all codes in a round."}, Range{.low = 1, .high = 100});
    v("codebook_steps", codebook_steps,
      Doc{"Conjugate gradient steps of a codebook update; each costs a product of the weights and H."},
      Range{.low = 0, .high = 1000});
    v("damping", damping, Doc{"Share of the mean second moment that is added to each."},
      Range{.low = 0.0, .high = 1.0});
}

namespace {

class AqlmSolver : public Solver {
  public:
    using Options = AqlmParameters;
    explicit AqlmSolver(const Options& options) : options_(options) {}
    [[nodiscard]] DataNeeds needs() const override { return {.second_moments = true}; }
    /// A step of the codebooks is one; a pass over the codes keeps the gradient up to date and tries
    /// codewords.
    [[nodiscard]] double products() const override {
        const AqlmParameters& parameters = options_;
        return parameters.rounds * (parameters.codebook_steps + 2.0 * parameters.cycles);
    }
    SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix, Backend& backend) const override {
        return solve_aqlm(problem, matrix, options_, backend);
    }

  private:
    Options options_;
};

const Registrar<Solver, AqlmSolver> registrar{
    "aqlm",
    "Additive vector codebooks (grouping: vectors) on the layer's output error: codes by coordinate descent, "
    "codebooks by least squares.",
    "AQLM, arXiv 2401.06118"};

}  // namespace
}  // namespace jlcm
