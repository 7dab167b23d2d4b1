#include "core/codebook/grouping.hpp"

#include <algorithm>

namespace jlcm {
namespace {

struct ConsecutiveOptions {
    int groups = 16;
    GroupParts parts = GroupParts::codebooks;

    void fields(Fields& v) {
        v("groups", groups, Doc{"Row groups of a matrix (at most its rows)."},
          Range{.low = 1, .high = 65536});
        v("parts", parts, Doc{"What a group holds. Scales cost 2 bytes a group, codebooks 2 K."});
    }
};

class Consecutive : public Grouping {
  public:
    using Options = ConsecutiveOptions;
    explicit Consecutive(const Options& options) : options_(options) {}

    [[nodiscard]] GroupedRows group(const LayerProblem& problem, int bits) const override {
        problem.validate();
        Layout layout = Layout::per_tensor(problem.weights.rows(), problem.weights.cols(), bits);
        layout.shared_codebook = options_.parts == GroupParts::scales;
        const std::int64_t groups = std::min<std::int64_t>(options_.groups, layout.rows);
        const auto group_of_row = consecutive_groups(layout.rows, groups);
        return {groups_in_place(std::move(layout), group_of_row, groups), {}};
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
