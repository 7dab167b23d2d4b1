#include "core/codebook/grouping.hpp"

#include <algorithm>

namespace jlcm {
namespace {

enum class Parts : std::uint8_t { scales_and_offsets, scales, codebooks };

EnumNames<Parts> enum_names(Parts /*tag*/) {
    return {{Parts::scales_and_offsets, "scales_and_offsets",
             "a scale and an offset each (32 bits) over one codebook for the matrix: integer "
             "formats with a zero point"},
            {Parts::scales, "scales", "a scale each (16 bits) over one codebook for the matrix"},
            {Parts::codebooks, "codebooks", "a codebook each (16 K bits)"}};
}

struct ColumnGroupsOptions {
    std::int64_t size = 64;
    Parts parts = Parts::scales_and_offsets;

    void fields(Fields& v) {
        v("size", size,
          Doc{"Columns of a group; the last one may be narrower. 64 with a scale and an offset cost half a "
              "bit per weight."},
          Range{1, 1 << 20});
        v("parts", parts, Doc{"The values that each group holds."});
    }
};

class ColumnGroups : public Grouping {
  public:
    using Options = ColumnGroupsOptions;
    explicit ColumnGroups(const Options& options) : options_(options) {}

    [[nodiscard]] GroupedRows group(const LayerProblem& problem, int bits) const override {
        Layout layout = Layout::per_row(problem.weights.rows(), problem.weights.cols(), bits);
        layout.column_group = std::min(options_.size, layout.cols);
        layout.shared_codebook = options_.parts != Parts::codebooks;
        return {.layout = std::move(layout),
                .row_order = {},
                .offsets = options_.parts == Parts::scales_and_offsets};
    }

  private:
    Options options_;
};

const Registrar<Grouping, ColumnGroups> registrar{
    "column_groups",
    "Each row in groups of neighbouring columns: as integer formats do. Trades bytes for quality if rows are "
    "long.",
    "GPTQ, arXiv 2210.17323, section 4 (groups)"};

}  // namespace
}  // namespace jlcm
