#include "core/codebook/grouping.hpp"

namespace jlcm {
namespace {

class PerTensor : public Grouping {
  public:
    using Options = NoOptions;
    [[nodiscard]] GroupedRows group(const LayerProblem& problem, int bits) const override {
        return {Layout::per_tensor(problem.weights.rows(), problem.weights.cols(), bits), {}};
    }
};

const Registrar<Grouping, PerTensor> registrar{
    "per_tensor", "One codebook for the whole matrix: the fewest bytes, the coarsest fit.",
    "method section 3"};

}  // namespace
}  // namespace jlcm
