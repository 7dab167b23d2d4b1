#include "core/codebook/codebook_init.hpp"
#include "core/codebook/solver.hpp"

namespace jlcm {
namespace {

class NearestCodeword : public Solver {
  public:
    using Options = NoOptions;
    [[nodiscard]] DataNeeds needs() const override { return {}; }
    SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix,
                    Backend& /*backend*/) const override {
        problem.validate();
        map_to_nearest(matrix, problem.weights);
        return {};
    }
};

const Registrar<Solver, NearestCodeword> registrar{
    "nearest_codeword",
    "Keeps the initial codebooks and maps each weight to its nearest codeword: plain k-means compression.",
    "Deep Compression, arXiv 1510.00149"};

}  // namespace
}  // namespace jlcm
