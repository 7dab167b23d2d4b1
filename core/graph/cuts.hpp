#pragma once
// Where a graph can be cut although several values pass: a U-Net, an encoder whose mask every layer reads, two
// encoders one behind the other.

#include "core/graph/graph.hpp"

namespace jlcm {

/// The same graph with records (record.hpp) where many weights lie between two values that every path goes
/// through: all values that pass become one there, so that blocks end (blocks.hpp). A record lies where fewer
/// values pass than behind any of the next weights, and at most eight. `values`: ids of the graph without blocks
/// and outputs; they become those of the same values in the new one.
[[nodiscard]] Graph with_records(const Graph& graph, std::vector<ValueId>& values);

}  // namespace jlcm
