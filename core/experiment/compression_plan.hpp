#pragma once
// Which weights are compressed, and how: the spec's overrides applied to a graph.

#include "core/experiment/run_spec.hpp"
#include "core/graph/graph.hpp"

#include <map>

namespace jlcm {

struct MatrixPlan {
    int bits = 2;
    Choice<Grouping> grouping;
};

/// Every linear weight of the blocks that is to be compressed. An input error where an override matches
/// nothing, or nothing is left to compress.
[[nodiscard]] std::map<ParameterId, MatrixPlan> plan_compression(const Graph& graph,
                                                                 const CompressOptions& options);

}  // namespace jlcm
