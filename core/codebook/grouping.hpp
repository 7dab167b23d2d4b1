#pragma once
// Grouping: which rows of a matrix share a codebook or a scale, and in which order they are stored.

#include "core/codebook/solver.hpp"

#include <string>

namespace jlcm {

/// A layout, and the order of rows that makes its groups runs.
struct GroupedRows {
    Layout layout;
    std::vector<std::int32_t> row_order;  ///< as CompressedMatrix::row_order: empty, rows stay in place
    bool offsets = false;                 ///< groups over a shared codebook have an offset as well as a scale
};

class Grouping {
  public:
    Grouping() = default;
    Grouping(const Grouping&) = delete;
    Grouping& operator=(const Grouping&) = delete;
    virtual ~Grouping() = default;

    /// Groups the rows of problem.weights for codes of `bits` bits (1..8).
    [[nodiscard]] virtual GroupedRows group(const LayerProblem& problem, int bits) const = 0;
};

template <>
struct KindOf<Grouping> {
    static constexpr std::string_view name = "grouping";
    static constexpr std::string_view doc =
        "Decides which rows (output neurons) share a codebook or a scale.";
};

/// Orders rows by cluster: row_order (empty where rows are in order already) and runs for `clusters` groups,
/// each of which must have a row. `cluster_of_row` holds 0..clusters-1.
[[nodiscard]] GroupedRows contiguous_groups(Layout layout, const std::vector<std::int32_t>& cluster_of_row,
                                            std::int64_t clusters);

}  // namespace jlcm
