#include "core/codebook/grouping.hpp"

namespace jlcm {
namespace {

struct VectorsOptions {
    int dimension = 4;
    int stages = 1;
    bool row_scales = true;

    void fields(Fields& v) {
        v("dimension", dimension,
          Doc{"Weights of one codeword; divides the columns. A code of b bits then costs b / dimension bits "
              "per weight."},
          Range{.low = 1, .high = 64});
        v("stages", stages, Doc{"Codebooks that are added up; each costs its codes again."},
          Range{.low = 1, .high = 16});
        v("row_scales", row_scales, Doc{"A scale for every row (16 bits)."});
    }
};

class Vectors : public Grouping {
  public:
    using Options = VectorsOptions;
    explicit Vectors(const Options& options) : options_(options) {}

    [[nodiscard]] GroupedRows group(const LayerProblem& problem, int bits) const override {
        const std::int64_t rows = problem.weights.rows();
        const std::int64_t cols = problem.weights.cols();
        Layout layout =
            options_.row_scales ? Layout::per_row(rows, cols, bits) : Layout::per_tensor(rows, cols, bits);
        layout.shared_codebook = options_.row_scales;
        layout.dimension = options_.dimension;
        layout.residual = options_.stages;
        layout.validate(problem.name);
        return {.layout = std::move(layout), .row_order = {}};
    }
    [[nodiscard]] CodeShape code_shape(int bits) const override {
        return {bits, options_.dimension, options_.stages};
    }

  private:
    Options options_;
};

const Registrar<Grouping, Vectors> registrar{"vectors",
                                             "One codebook of vectors for the matrix, or several that are "
                                             "added up. For the solver `aqlm`.",
                                             "AQLM, arXiv 2401.06118"};

}  // namespace
}  // namespace jlcm
