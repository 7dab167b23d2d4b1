#pragma once
// Which group each weight of a matrix belongs to: the one place where the group of (row, column) is derived.
//
// Rows belong to row groups, and columns are cut into column groups of equal width (the last one may be
// narrower). Group = row group * column groups + column group. Rows are counted in stored order.

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace jlcm {

/// The weights of one row that belong to one group.
struct Segment {
    std::int64_t row = 0;
    std::int64_t begin = 0;  ///< columns [begin, end)
    std::int64_t end = 0;
    std::int64_t group = 0;
    std::int64_t first = 0;  ///< element of the matrix at which it begins: row * columns + begin

    [[nodiscard]] std::int64_t size() const { return end - begin; }
};

class GroupMap {
  public:
    /// `width`: columns of a column group, from 1 to `cols`. `row_groups`: the row group of every row.
    GroupMap(std::int64_t cols, std::int64_t width, std::vector<std::int32_t> row_groups)
        : cols_(cols),
          width_(width),
          column_groups_((cols + width - 1) / width),
          row_groups_(std::move(row_groups)),
          groups_(row_groups_.empty() ? 0 : (*std::ranges::max_element(row_groups_) + 1) * column_groups_) {}

    [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(row_groups_.size()); }
    [[nodiscard]] std::int64_t cols() const { return cols_; }
    /// Columns of a column group.
    [[nodiscard]] std::int64_t width() const { return width_; }
    [[nodiscard]] std::int64_t column_groups() const { return column_groups_; }
    /// The row group of every row.
    [[nodiscard]] const std::vector<std::int32_t>& row_groups() const { return row_groups_; }
    /// Row groups times column groups.
    [[nodiscard]] std::int64_t groups() const { return groups_; }
    [[nodiscard]] std::int64_t column_group(std::int64_t column) const { return column / width_; }

    [[nodiscard]] std::int64_t group(std::int64_t row, std::int64_t column_group) const {
        return row_groups_[static_cast<std::size_t>(row)] * column_groups_ + column_group;
    }
    /// The group of a row in a matrix whose groups hold whole rows.
    [[nodiscard]] std::int64_t group_of_row(std::int64_t row) const { return group(row, 0); }

    /// Calls body(segment) for the segments of a row, from left to right.
    template <class Body>
    void for_each_segment(std::int64_t row, Body&& body) const {
        for (std::int64_t g = 0; g < column_groups_; ++g) {
            const std::int64_t begin = g * width_;
            body(Segment{row, begin, std::min(cols_, begin + width_), group(row, g), row * cols_ + begin});
        }
    }
    /// The same for all rows, in order.
    template <class Body>
    void for_each_segment(Body&& body) const {
        for (std::int64_t row = 0; row < rows(); ++row) for_each_segment(row, body);
    }

  private:
    std::int64_t cols_;
    std::int64_t width_;
    std::int64_t column_groups_;
    std::vector<std::int32_t> row_groups_;
    std::int64_t groups_;
};

}  // namespace jlcm
