#include "core/codebook/even_grid.hpp"

namespace jlcm {
namespace {

/// Evenly spaced codewords: what integer formats do.
class Uniform : public CodebookInit {
  public:
    using Options = GridOptions;
    explicit Uniform(const Options& options) : options_(options) {}
    [[nodiscard]] DataNeeds needs() const override { return needs_of(options_.fit); }

    [[nodiscard]] CompressedMatrix initialise(const LayerProblem& problem,
                                              const GroupedRows& grouped) const override {
        return fill_even_grids(problem, grouped, problem.second_moment_importance(), options_);
    }

  private:
    Options options_;
};

const Registrar<CodebookInit, Uniform> registrar{
    "uniform",
    "Evenly spaced codewords over each group's weights. By range "
    "poor below 4 bits: outliers set the spacing.",
    ""};

}  // namespace
}  // namespace jlcm
