#include "core/codebook/codebook_init.hpp"

namespace jlcm {
namespace {

/// Evenly spaced codewords: what integer formats do.
class Uniform : public CodebookInit {
  public:
    using Options = NoOptions;
    [[nodiscard]] bool needs_hessian() const override { return false; }

    [[nodiscard]] CompressedMatrix initialise(const LayerProblem& problem,
                                              const GroupedRows& grouped) const override {
        return fill_codebooks(problem, grouped, {},
                              [](std::span<const float> values, std::span<const float> /*weights*/,
                                 std::span<float> codewords) { even_grid(values, codewords); });
    }
};

const Registrar<CodebookInit, Uniform> registrar{"uniform",
                                                 "Evenly spaced from each group's least to its largest "
                                                 "weight. Poor below 4 bits: outliers set the spacing.",
                                                 ""};

}  // namespace
}  // namespace jlcm
