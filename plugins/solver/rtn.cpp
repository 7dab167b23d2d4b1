#include "core/codebook/codebook_init.hpp"
#include "core/codebook/solver.hpp"

namespace jlcm {
namespace {

/// Round to nearest: the codebook becomes an even grid over what its group's weights span.
class RoundToNearest : public Solver {
  public:
    using Options = NoOptions;
    [[nodiscard]] bool needs_hessian() const override { return false; }
    SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix) const override {
        const GroupedRows grouped{matrix.layout, matrix.row_order};
        matrix = fill_codebooks(problem, grouped, {},
                                [](std::span<const float> values, std::span<const float> /*weights*/,
                                   std::span<float> codewords) { even_grid(values, codewords); });
        return {};
    }
};

const Registrar<Solver, RoundToNearest> registrar{"rtn",
                                                  "Round to nearest on an even grid over each group's range, "
                                                  "whatever the initial codebooks: the simplest baseline.",
                                                  ""};

}  // namespace
}  // namespace jlcm
