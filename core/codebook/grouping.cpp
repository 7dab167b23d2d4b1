#include "core/codebook/grouping.hpp"

#include <algorithm>
#include <numeric>

namespace jlcm {

std::vector<std::int32_t> Grouping::cluster(std::int64_t, std::span<const TiedRows>) const {
    ensure(false, "this grouping orders no rows");
    return {};
}

GroupedRows Grouping::group_in_place(const LayerProblem&, int, const std::vector<std::int32_t>&) const {
    ensure(false, "this grouping orders no rows");
    return {};
}

Layout groups_in_place(Layout layout, const std::vector<std::int32_t>& group_of_row, std::int64_t groups) {
    ensure(std::ssize(group_of_row) == layout.rows, "groups of {} rows for {}", group_of_row.size(),
           layout.rows);
    layout.row_groups = groups;
    layout.runs.clear();
    if (groups == 1 || groups == layout.rows) return layout;
    for (std::size_t i = 0; i < group_of_row.size(); ++i)
        if (i == 0 || group_of_row[i] != group_of_row[i - 1])
            layout.runs.push_back({static_cast<std::int64_t>(i), group_of_row[i]});
    return layout;
}

std::vector<std::int32_t> consecutive_groups(std::int64_t rows, std::int64_t groups) {
    std::vector<std::int32_t> result(static_cast<std::size_t>(rows));
    for (std::int64_t row = 0; row < rows; ++row)
        result[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(row * groups / rows);
    return result;
}

Layout row_group_layout(const LayerProblem& problem, int bits, GroupParts parts) {
    Layout layout = Layout::per_tensor(problem.weights.rows(), problem.weights.cols(), bits);
    layout.shared_codebook = parts == GroupParts::scales;
    return layout;
}

GroupedRows consecutive_rows(const LayerProblem& problem, int bits, GroupParts parts, std::int64_t groups) {
    const std::int64_t rows = problem.weights.rows();
    const std::int64_t count = std::min(groups, rows);
    return {groups_in_place(row_group_layout(problem, bits, parts), consecutive_groups(rows, count), count),
            {}};
}

GroupedRows contiguous_groups(Layout layout, const std::vector<std::int32_t>& cluster_of_row,
                              std::int64_t clusters) {
    ensure(static_cast<std::int64_t>(cluster_of_row.size()) == layout.rows, "{} clusters of {} rows",
           cluster_of_row.size(), layout.rows);
    GroupedRows result;
    std::vector<std::int32_t> order(cluster_of_row.size());
    std::iota(order.begin(), order.end(), 0);
    const auto cluster = [&](std::int32_t row) { return cluster_of_row[static_cast<std::size_t>(row)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int32_t a, std::int32_t b) { return cluster(a) < cluster(b); });
    std::vector<std::int32_t> sorted(order.size());
    std::transform(order.begin(), order.end(), sorted.begin(), cluster);
    result.layout = groups_in_place(std::move(layout), sorted, clusters);
    if (!std::is_sorted(order.begin(), order.end())) result.row_order = std::move(order);
    return result;
}

}  // namespace jlcm
