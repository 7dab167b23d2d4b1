#pragma once
// Which weights are compressed, and how: the spec's overrides applied to a graph.

#include "core/compress/options.hpp"
#include "core/graph/graph.hpp"

#include <map>
#include <optional>

namespace jlcm {

struct MatrixPlan {
    int bits = 2;
    Choice<Grouping> grouping;
    /// The group of each row if rows lie in place (empty: the grouping cuts consecutive ones); nothing
    /// if the grouping is free to store an order of its own.
    std::optional<std::vector<std::int32_t>> group_of_row;

    [[nodiscard]] GroupedRows group(const LayerProblem& problem) const;
    [[nodiscard]] CodeShape code_shape() const;
};

/// Every linear weight of the blocks that is to be compressed. An input error if an override matches
/// nothing, or nothing is left to compress.
[[nodiscard]] std::map<ParameterId, MatrixPlan> plan_compression(const Graph& graph,
                                                                 const CompressOptions& options);

/// A tensor of two dimensions or more and 256 weights or more that a run leaves as it is.
struct LeftTensor {
    std::string name;
    Shape shape;
    std::string reason;
};

/// In the graph's order. `compressed`: what the run compresses, embeddings among it.
[[nodiscard]] std::vector<LeftTensor> left_tensors(const Graph& graph,
                                                   const std::vector<ParameterId>& compressed);

}  // namespace jlcm
