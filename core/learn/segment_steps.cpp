#include "core/learn/segment_steps.hpp"

#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm {

namespace {

/// Rows of a task.
std::int64_t grain_of(const CodedMatrix& matrix) {
    constexpr std::int64_t weights_per_task = 1 << 15;
    return std::max<std::int64_t>(1, weights_per_task / std::max<std::int64_t>(matrix.cols(), 1));
}

}  // namespace

void for_segments(const CodedMatrix& matrix, const std::function<void(const Segment& segment)>& body) {
    parallel_for(matrix.rows(), grain_of(matrix), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) matrix.groups->for_each_segment(row, body);
    });
}

void step_segments(const CodedMatrix& matrix, const Tensor& gradient, std::vector<std::int64_t>& jumps,
                   const std::function<void(const Segment& segment, std::int64_t* counts)>& step) {
    ensure(gradient.size() == matrix.size(), "a gradient {} for a coded matrix {} x {}",
           to_string(gradient.shape()), matrix.rows(), matrix.cols());
    const auto lengths = static_cast<std::size_t>(std::max(matrix.codewords - 1, 1));
    jumps.resize(std::max(jumps.size(), lengths));
    const std::int64_t grain = grain_of(matrix);
    const auto tasks = static_cast<std::size_t>((matrix.rows() + grain - 1) / grain);
    std::vector<std::vector<std::int64_t>> counts(tasks, std::vector<std::int64_t>(lengths));
    parallel_for(matrix.rows(), grain, [&](std::int64_t begin, std::int64_t end) {
        std::int64_t* own = counts[static_cast<std::size_t>(begin / grain)].data();
        for (std::int64_t row = begin; row < end; ++row)
            matrix.groups->for_each_segment(row, [&](const Segment& segment) { step(segment, own); });
    });
    for (const auto& count : counts)
        for (std::size_t j = 0; j < lengths; ++j) jumps[j] += count[j];
}

}  // namespace jlcm
