#include "core/codebook/grouping.hpp"

#include <algorithm>
#include <numeric>

namespace jlcm {

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
    layout.row_groups = clusters;
    layout.runs.clear();
    if (clusters > 1 && clusters < layout.rows) {
        for (std::size_t i = 0; i < order.size(); ++i) {
            if (i == 0 || cluster(order[i]) != cluster(order[i - 1]))
                layout.runs.push_back({static_cast<std::int64_t>(i), cluster(order[i])});
        }
    }
    if (!std::is_sorted(order.begin(), order.end())) result.row_order = std::move(order);
    result.layout = std::move(layout);
    return result;
}

}  // namespace jlcm
