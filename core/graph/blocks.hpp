#pragma once
// Blocks of a graph that names none: what is reconstructed together, found from the wiring.

#include "core/graph/graph.hpp"

namespace jlcm {

/// Cuts the body of a graph without blocks. Blocks end where every path
/// goes through one value, so that a residual block (or what lies between two concatenations) stays whole;
/// what follows without a linear weight of its own (norms, activations, pooling) belongs to the block before
/// it. A plain chain of convolutions thus has a block for each. Nodes before the first block have no
/// parameters; the last block ends with the body.
void cut_blocks(Graph& graph);

/// The linear weights of a range of nodes that no node in front of it reads, each once, with the node that reads it
/// first: a weight that layers share belongs to the first of them.
[[nodiscard]] std::vector<Graph::LinearUse> own_linears(const Graph& graph, NodeRange range);

}  // namespace jlcm
