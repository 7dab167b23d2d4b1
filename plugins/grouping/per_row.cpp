#include "core/codebook/grouping.hpp"

namespace jlcm {
namespace {

class PerRow : public Grouping {
  public:
    using Options = NoOptions;
    [[nodiscard]] GroupedRows group(const LayerProblem& problem, int bits) const override {
        return {Layout::per_row(problem.weights.rows(), problem.weights.cols(), bits), {}};
    }
};

const Registrar<Grouping, PerRow> registrar{
    "per_row", "A codebook for every row: the best quality, 16 K bits per row; expensive if rows are short.",
    "method section 3"};

}  // namespace
}  // namespace jlcm
