#include "core/graph/blocks.hpp"

#include <algorithm>
#include <set>

namespace jlcm {
namespace {

std::size_t index(int id) {
    return static_cast<std::size_t>(id);
}

/// For every node, whether all that is read behind it is its own output, with a first dimension of samples.
std::vector<bool> bottlenecks(const Graph& graph) {
    const std::vector<Shape> shapes = graph.infer(graph.input_shape());
    // The last node that reads each value.
    std::vector<NodeId> last(graph.values().size(), -1);
    for (NodeId id = 0; id < graph.node_count(); ++id)
        for (const ValueId value : graph.node(id).inputs) last[index(value)] = id;
    std::vector<bool> alone(index(graph.node_count()), false);
    NodeId needed_until = last[index(graph.input())];
    for (NodeId id = 0; id < graph.node_count(); ++id) {
        const Shape& shape = shapes[index(graph.node(id).output)];
        alone[index(id)] = needed_until <= id && !shape.empty() && shape[0] == graph.input_shape()[0];
        needed_until = std::max(needed_until, last[index(graph.node(id).output)]);
    }
    return alone;
}

}  // namespace

void cut_blocks(Graph& graph) {
    ensure(graph.blocks().empty() && graph.node_count() > 0, "a graph of {} nodes that is cut into blocks",
           graph.node_count());
    const NodeId count = graph.body().nodes.end;
    const std::vector<bool> alone = bottlenecks(graph);
    const auto weighs = [&](NodeId id) {
        return std::ranges::any_of(graph.node(id).parameters,
                                   [&](ParameterId p) { return graph.parameter(p).linear; });
    };
    NodeId first = 0;
    while (first < count && graph.node(first).parameters.empty() && alone[index(first)]) ++first;
    if (first == count) return;
    // Stretches between two bottlenecks; one without a linear weight is joined to what came before.
    std::vector<NodeId> ends;
    bool has_weight = false;
    for (NodeId id = first; id < count; ++id) {
        has_weight = has_weight || weighs(id);
        const bool is_last = id + 1 == count;
        if (!alone[index(id)] && !is_last) continue;
        if (!has_weight && !ends.empty())
            ends.back() = id + 1;
        else if (has_weight || is_last)
            ends.push_back(id + 1);
        has_weight = false;
    }
    NodeId start = first;
    for (const NodeId end : ends) {
        const ValueId input = start == 0 ? graph.input() : graph.node(start - 1).output;
        graph.add_block({fmt::format("block {}", graph.blocks().size()),
                         {start, end},
                         input,
                         graph.node(end - 1).output});
        start = end;
    }
}

std::vector<Graph::LinearUse> own_linears(const Graph& graph, NodeRange range) {
    std::set<ParameterId> seen;
    for (const auto& use : graph.linears({0, range.first})) seen.insert(use.parameter);
    std::vector<Graph::LinearUse> own;
    for (const auto& use : graph.linears(range))
        if (seen.insert(use.parameter).second) own.push_back(use);
    return own;
}

}  // namespace jlcm
