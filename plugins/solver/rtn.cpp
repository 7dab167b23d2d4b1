#include "core/codebook/even_grid.hpp"

namespace jlcm {
namespace {

/// Round to nearest: the codebook becomes an even grid over its group's weights.
class RoundToNearest : public Solver {
  public:
    using Options = GridOptions;
    explicit RoundToNearest(const Options& options) : options_(options) {}
    [[nodiscard]] DataNeeds needs() const override { return needs_of(options_.fit); }
    [[nodiscard]] bool starts_from_layout() const override { return true; }
    SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix,
                    Backend& /*backend*/) const override {
        const GroupedRows grouped{matrix.layout, matrix.row_order, matrix.offsets.defined()};
        matrix = fill_even_grids(problem, grouped, problem.second_moment_importance(), options_);
        return {};
    }

  private:
    Options options_;
};

const Registrar<Solver, RoundToNearest> registrar{
    "rtn",
    "Round to nearest on an even grid over each group's weights, "
    "whatever the initial codebooks: the simplest baseline.",
    ""};

}  // namespace
}  // namespace jlcm
