#include "plugins/solver/squeezellm/squeezellm.hpp"

namespace jlcm {

void SqueezeLlmParameters::fields(Fields& v) {
    v("sensitive", sensitive,
      Doc{"Share of the weights that is kept aside because the loss depends on them most. Each costs 48 "
          "bits; the published method takes 0.0005.",
          "SqueezeLLM, arXiv 2306.07629, section 4.2"},
      Range{.low = 0.0, .high = 0.5});
    v("outliers", outliers,
      Doc{"Share of the weights that is kept aside because they are large. The published method takes 0.004.",
          "SqueezeLLM, arXiv 2306.07629, section 4.2"},
      Range{.low = 0.0, .high = 0.5});
}

namespace {

class SqueezeLlm : public Solver {
  public:
    using Options = SqueezeLlmParameters;
    explicit SqueezeLlm(const Options& options) : options_(options) {}
    [[nodiscard]] DataNeeds needs() const override { return {.fisher = true}; }
    [[nodiscard]] bool starts_from_layout() const override { return true; }
    [[nodiscard]] std::int64_t outliers(std::int64_t weights) const override {
        return squeezellm_outliers(weights, options_);
    }
    SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix,
                    Backend& /*backend*/) const override {
        solve_squeezellm(problem, matrix, options_);
        return {};
    }

  private:
    Options options_;
};

const Registrar<Solver, SqueezeLlm> registrar{"squeezellm",
                                              "K-means by each weight's Fisher information, whatever the "
                                              "initial codebooks, with an optional sparse part.",
                                              "SqueezeLLM, arXiv 2306.07629"};

}  // namespace
}  // namespace jlcm
