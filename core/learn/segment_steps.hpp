#pragma once
// How estimators drive their kernels: segment by segment, rows in parallel.

#include "core/backend/backend.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace jlcm {

/// Calls step(segment, counts) for every segment of the matrix. `counts` [K - 1] belongs to the calling
/// thread: counts[j] += codes that moved by j + 1; all of them are added to `jumps`. `gradient`: one for each
/// weight.
void step_segments(const CodedMatrix& matrix, const Tensor& gradient, std::vector<std::int64_t>& jumps,
                   const std::function<void(const Segment& segment, std::int64_t* counts)>& step);

/// Calls body(segment) for every segment of the matrix, rows in parallel.
void for_segments(const CodedMatrix& matrix, const std::function<void(const Segment& segment)>& body);

}  // namespace jlcm
