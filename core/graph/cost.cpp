#include "core/graph/cost.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace jlcm {

GraphSizes::GraphSizes(const Graph& graph, const Shape& sample, DType compute)
    : graph_(&graph),
      compute_bytes_(static_cast<double>(size_of(compute))),
      shapes_(graph.infer(sample)),
      forward_(graph.flops(all_nodes(), sample)) {
    for (const Node& node : graph.nodes()) elements_ += elements_of_value(node.output);
}

double GraphSizes::elements_of_value(ValueId value) const {
    return static_cast<double>(element_count(shape_of(value)));
}

double GraphSizes::bound(NodeRange range) const {
    double total = 0;
    for (const ParameterId id : graph_->parameters_of(range))
        total += elements(id) * (graph_->parameter(id).linear ? compute_bytes_ : 4);
    for (const auto& use : graph_->linears(range))
        if (!graph_->node(use.node).op->weight_inputs_key().empty())
            total += elements(use.parameter) * compute_bytes_;
    return total;
}

double GraphSizes::decoded(NodeRange range) const {
    std::set<double> sizes;
    for (const auto& use : graph_->linears(range)) sizes.insert(4 * elements(use.parameter));
    return std::accumulate(sizes.begin(), sizes.end(), 0.0);
}

double GraphSizes::head() const {
    return graph_->head() < 0 ? 0 : elements(graph_->head()) * compute_bytes_;
}

double GraphSizes::values(NodeRange range, double samples) const {
    double total = 0;
    for (NodeId id = range.first; id < range.end; ++id) total += elements_of_value(graph_->node(id).output);
    return total * samples * (compute_bytes_ < 4 ? 4 + compute_bytes_ : 4);
}

double GraphSizes::passing_values(NodeRange range, double samples) const {
    struct Count {
        std::int64_t now = 0;
        std::int64_t most = 0;
        void add() { most = std::max(most, ++now); }
    };
    std::map<double, Count> tensors;  // by bytes
    std::map<ValueId, NodeId> last_reader;
    for (NodeId id = range.first; id < range.end; ++id)
        for (const ValueId value : graph_->node(id).inputs) last_reader[value] = id;
    std::set<ValueId> made;
    std::set<ValueId> converted;
    const auto bytes = [&](ValueId value, double size) { return elements_of_value(value) * samples * size; };
    for (NodeId id = range.first; id < range.end; ++id) {
        const Node& node = graph_->node(id);
        if (compute_bytes_ < 4)
            for (const ValueId value : node.inputs)
                if (converted.insert(value).second) tensors[bytes(value, compute_bytes_)].add();
        tensors[bytes(node.output, 4)].add();
        made.insert(node.output);
        for (const ValueId value : node.inputs) {
            if (last_reader.at(value) != id) continue;
            if (converted.erase(value) > 0) --tensors[bytes(value, compute_bytes_)].now;
            if (made.erase(value) > 0) --tensors[bytes(value, 4)].now;
        }
    }
    double total = 0;
    for (const auto& [size, count] : tensors) total += size * static_cast<double>(count.most);
    return total;
}

double GraphSizes::patches(NodeRange range, double samples) const {
    double largest = 0;
    for (const auto& use : graph_->linears(range)) {
        const Node& node = graph_->node(use.node);
        if (node.op->weight_inputs_key().empty()) continue;
        const Shape& weight = graph_->parameter(use.parameter).shape;
        const double rows = elements_of_value(node.output) / static_cast<double>(weight[0]);
        largest = std::max(largest, rows * static_cast<double>(node.op->weight_groups() * weight[1]));
    }
    return largest * samples * compute_bytes_;
}

double GraphSizes::head_operations() const {
    if (graph_->head() < 0) return 0;
    const double rows =
        elements_of_value(graph_->features()) / static_cast<double>(shape_of(graph_->features()).back());
    return 2 * elements(graph_->head()) * rows;
}

double GraphSizes::largest_block(const std::function<double(const Block&)>& bytes) const {
    double largest = 0;
    for (const Block& block : graph_->blocks()) largest = std::max(largest, bytes(block));
    return largest;
}

double GraphSizes::all_blocks(const std::function<double(const Block&)>& bytes) const {
    double total = 0;
    for (const Block& block : graph_->blocks()) total += bytes(block);
    return total;
}

}  // namespace jlcm
