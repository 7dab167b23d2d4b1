#include "core/codebook/grouping.hpp"

namespace jlcm {
namespace {

struct ConsecutiveOptions {
    int groups = 16;
    GroupParts parts = GroupParts::codebooks;

    void fields(Fields& v) {
        v("groups", groups, Doc{"Row groups of a matrix (at most its rows)."},
          Range{.low = 1, .high = 65536});
        v("parts", parts,
          Doc{"The values that a group holds. Scales cost 2 bytes per group, codebooks 2 K."});
    }
};

class Consecutive : public Grouping {
  public:
    using Options = ConsecutiveOptions;
    explicit Consecutive(const Options& options) : options_(options) {}

    [[nodiscard]] GroupedRows group(const LayerProblem& problem, int bits) const override {
        problem.validate();
        return consecutive_rows(problem, bits, options_.parts, options_.groups);
    }

  private:
    Options options_;
};

const Registrar<Grouping, Consecutive> registrar{
    "consecutive",
    "Equal runs of consecutive rows share a codebook or a scale: distribution without its order.",
    "method section 3"};

}  // namespace
}  // namespace jlcm
