#pragma once
// Grouping: which rows of a matrix share a codebook or a scale, and in which order they are stored.

#include "core/codebook/code_shape.hpp"
#include "core/codebook/solver.hpp"
#include "core/spec/fields.hpp"

#include <functional>
#include <span>
#include <string>

namespace jlcm {

/// A layout, and the order of rows that makes its groups runs.
struct GroupedRows {
    Layout layout;
    std::vector<std::int32_t> row_order;  ///< as CompressedMatrix::row_order: empty, rows stay in place
    bool offsets = false;                 ///< groups over a shared codebook have an offset as well as a scale
};

/// Makes a matrix (name and weights), so that no more than one has to be in memory.
using TiedRows = std::function<LayerProblem()>;

/// The values that a group of rows holds.
enum class GroupParts : std::uint8_t { codebooks, scales };
inline EnumNames<GroupParts> enum_names(GroupParts /*tag*/) {
    return {{GroupParts::codebooks, "codebooks", "every group has its own codebook"},
            {GroupParts::scales, "scales", "one codebook for the matrix, every group has its own scale"}};
}

class Grouping {
  public:
    Grouping() = default;
    Grouping(const Grouping&) = delete;
    Grouping& operator=(const Grouping&) = delete;
    virtual ~Grouping() = default;

    /// Groups the rows of problem.weights for codes of `bits` bits (1..8).
    [[nodiscard]] virtual GroupedRows group(const LayerProblem& problem, int bits) const = 0;
    /// The codes of its layouts.
    [[nodiscard]] virtual CodeShape code_shape(int bits) const { return {.bits = bits}; }

    /// Whether it wants rows in an order of its own. Only then the functions below are called.
    [[nodiscard]] virtual bool orders_rows() const { return false; }
    /// Into how many groups it puts `count` things.
    [[nodiscard]] virtual std::int64_t groups(std::int64_t count) const { return count; }
    /// Clusters `count` things by what all of `tied` say of them: row i of each is about thing i. Returns
    /// their groups, 0..groups-1, none of them empty.
    [[nodiscard]] virtual std::vector<std::int32_t> cluster(std::int64_t count,
                                                            std::span<const TiedRows> tied) const;
    /// The groups that `group_of_row` names (empty: equal runs of consecutive rows), every row in its place.
    [[nodiscard]] virtual GroupedRows group_in_place(const LayerProblem& problem, int bits,
                                                     const std::vector<std::int32_t>& group_of_row) const;
};

template <>
struct KindOf<Grouping> {
    static constexpr std::string_view name = "grouping";
    static constexpr std::string_view doc =
        "Decides which rows (output neurons) share a codebook or a scale.";
};

/// Orders rows by cluster: row_order (empty if rows are in order already) and runs for `clusters` groups,
/// each of which must have a row. `cluster_of_row` holds 0..clusters-1.
[[nodiscard]] GroupedRows contiguous_groups(Layout layout, const std::vector<std::int32_t>& cluster_of_row,
                                            std::int64_t clusters);

/// The layout with the groups that `group_of_row` names (0..groups-1, each with a row), rows in place: a run
/// wherever the group changes, none if every row is a group.
[[nodiscard]] Layout groups_in_place(Layout layout, const std::vector<std::int32_t>& group_of_row,
                                     std::int64_t groups);

/// Groups for codes of `bits` bits over whole rows that hold `parts`; one group for all rows, to be cut.
[[nodiscard]] Layout row_group_layout(const LayerProblem& problem, int bits, GroupParts parts);

/// The same, cut into `groups` (at most the rows) equal runs of consecutive rows.
[[nodiscard]] GroupedRows consecutive_rows(const LayerProblem& problem, int bits, GroupParts parts,
                                           std::int64_t groups);

/// The group of every row where `groups` (at most `rows`) equal runs of consecutive rows are cut.
[[nodiscard]] std::vector<std::int32_t> consecutive_groups(std::int64_t rows, std::int64_t groups);

}  // namespace jlcm
