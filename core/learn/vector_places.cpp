#include "core/learn/vector_places.hpp"

#include <vector>

namespace jlcm {

std::int64_t vector_row_grain(const Layout& layout) {
    constexpr std::int64_t weights_per_task = 1 << 15;
    return std::max<std::int64_t>(1, weights_per_task / layout.cols);
}

void count_jumps_of_rows(const Layout& layout, JumpHistogram& jumps,
                         const std::function<void(std::int64_t row, std::int64_t* counts)>& body) {
    const auto lengths = static_cast<std::size_t>(layout.codewords() - 1);
    const std::int64_t grain = vector_row_grain(layout);
    std::vector<std::vector<std::int64_t>> counts(static_cast<std::size_t>((layout.rows + grain - 1) / grain),
                                                  std::vector<std::int64_t>(lengths));
    parallel_for(layout.rows, grain, [&](std::int64_t begin, std::int64_t end) {
        std::int64_t* own = counts[static_cast<std::size_t>(begin / grain)].data();
        for (std::int64_t row = begin; row < end; ++row) body(row, own);
    });
    jumps.jumps.resize(std::max(jumps.jumps.size(), lengths));
    for (const auto& count : counts)
        for (std::size_t j = 0; j < lengths; ++j) jumps.jumps[j] += count[j];
}

}  // namespace jlcm
