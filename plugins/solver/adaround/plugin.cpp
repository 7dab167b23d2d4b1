#include "plugins/solver/adaround/adaround.hpp"

namespace jlcm {

void AdaRoundParameters::fields(Fields& v) {
    v("steps", steps, Doc{"Steps of Adam; each costs as much as a product of the weights and H."},
      Range{.low = 1, .high = 1e6});
    v("rate", rate, Doc{"Adam step of the rounding variables."}, Range{.low = 0.0, .high = 1.0});
    v("regulariser", regulariser,
      Doc{"Weight of what drives every weight to one of its two codewords, beside an objective whose "
          "curvature in each rounding is one: below one, weights stay undecided and are cut off."},
      Range{.low = 0.0, .high = 100.0});
    v("warmup", warmup, Doc{"Share of the steps before that."}, Range{.low = 0.0, .high = 1.0});
    v("first_beta", first_beta, Doc{"The regulariser's exponent falls from here ..."},
      Range{.low = 2, .high = 100});
    v("last_beta", last_beta, Doc{"... to here. Low exponents pull harder on undecided weights."},
      Range{.low = 2, .high = 100});
    v("damping", damping, Doc{"Share of the mean second moment that is added to each."},
      Range{.low = 0.0, .high = 1.0});
}

namespace {

class AdaRound : public Solver {
  public:
    using Options = AdaRoundParameters;
    explicit AdaRound(const Options& options) : options_(options) {}
    [[nodiscard]] DataNeeds needs() const override { return {.second_moments = true}; }
    [[nodiscard]] double products() const override { return static_cast<double>(options_.steps); }
    SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix, Backend& backend) const override {
        return solve_adaround(problem, matrix, options_, backend);
    }

  private:
    Options options_;
};

const Registrar<Solver, AdaRound> registrar{"adaround",
                                            "Learns whether each weight goes to the codeword below or above "
                                            "it, on the layer's output error; codebooks stay.",
                                            "AdaRound, arXiv 2004.10568"};

}  // namespace
}  // namespace jlcm
