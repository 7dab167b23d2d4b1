#include "core/graph/cuts.hpp"

#include "core/graph/record.hpp"
#include "core/graph/tensor_operators.hpp"

#include <algorithm>
#include <set>

namespace jlcm {
namespace {

std::size_t index(int id) {
    return static_cast<std::size_t>(id);
}

/// Weights behind a place among which none has to have fewer values passing.
constexpr int horizon = 8;
constexpr std::size_t most_values = 8;

/// The values that pass behind each node.
class Passing {
  public:
    Passing(const Graph& graph, const std::vector<ValueId>& kept)
        : graph_(&graph), last_(graph.values().size(), -1), behind_(index(graph.node_count())) {
        for (NodeId id = 0; id < graph.node_count(); ++id)
            for (const ValueId value : graph.node(id).inputs) last_[index(value)] = id;
        for (const ValueId value : kept) last_[index(value)] = graph.node_count();
        std::set<ValueId> passing{graph.input()};
        for (NodeId id = 0; id < graph.node_count(); ++id) {
            passing.insert(graph.node(id).output);
            std::erase_if(passing, [&](ValueId value) { return last_[index(value)] <= id; });
            behind_[index(id)].assign(passing.begin(), passing.end());
        }
        once_ = graph.infer(graph.input_shape());
        Shape twice = graph.input_shape();
        twice.at(0) *= 2;
        try {
            twice_ = graph.infer(twice);
        } catch (const Error&) {
            twice_.assign(once_.size(), {});  // it takes no other number of samples
        }
    }
    [[nodiscard]] const std::vector<ValueId>& behind(NodeId id) const { return behind_[index(id)]; }
    /// Whether they can be a record: each has the samples in its first dimension, and nowhere else, or is of one.
    [[nodiscard]] bool make_record(NodeId id) const {
        return behind(id).size() <= most_values && std::ranges::all_of(behind(id), [&](ValueId value) {
                   Shape shape = once_[index(value)];
                   if (shape.empty() || graph_->one_by_one()) return !shape.empty();
                   shape[0] *= 2;
                   return shape[0] == 2 * graph_->input_shape()[0] && shape == twice_[index(value)];
               });
    }
    /// Whether they cannot pass as they are.
    [[nodiscard]] bool want_record(NodeId id) const {
        return behind(id).size() > 1 || (graph_->one_by_one() && !is_of_sample(behind(id).front()));
    }
    [[nodiscard]] const Shape& shape(ValueId value) const { return once_[index(value)]; }
    /// Whether the first dimension is that of samples.
    [[nodiscard]] bool is_of_sample(ValueId value) const {
        return !shape(value).empty() && shape(value)[0] == graph_->input_shape()[0];
    }

  private:
    const Graph* graph_;
    std::vector<NodeId> last_;
    std::vector<std::vector<ValueId>> behind_;
    std::vector<Shape> once_;
    std::vector<Shape> twice_;
};

/// Between two weights: the place where the fewest values pass, the last of equals.
struct Place {
    NodeId behind = -1;
    std::size_t values = 0;
};

std::vector<Place> places_between_weights(const Graph& graph, const Passing& passing) {
    const auto weighs = [&](NodeId id) {
        return std::ranges::any_of(graph.node(id).parameters,
                                   [&](ParameterId p) { return graph.parameter(p).linear; });
    };
    std::vector<Place> places;
    Place best;
    bool is_behind_weight = false;
    for (NodeId id = 0; id < graph.node_count(); ++id) {
        if (weighs(id)) {
            if (is_behind_weight) places.push_back(best);
            is_behind_weight = true;
            best = {id, passing.behind(id).size()};
        } else if (is_behind_weight && passing.behind(id).size() <= best.values) {
            best = {id, passing.behind(id).size()};
        }
    }
    if (is_behind_weight) places.push_back({graph.node_count() - 1, 1});
    return places;
}

std::set<NodeId> cuts_of(const Graph& graph, const Passing& passing) {
    const std::vector<Place> places = places_between_weights(graph, passing);
    std::set<NodeId> cuts;
    for (std::size_t i = 0; i + 1 < places.size(); ++i) {
        const std::size_t end = std::min(places.size(), i + 1 + horizon);
        bool is_narrowest = passing.want_record(places[i].behind) && passing.make_record(places[i].behind);
        for (std::size_t next = i + 1; next < end && is_narrowest; ++next)
            is_narrowest = places[next].values >= places[i].values;
        if (is_narrowest) cuts.insert(places[i].behind);
    }
    return cuts;
}

}  // namespace

Graph with_records(const Graph& graph, std::vector<ValueId>& values) {
    ensure(graph.blocks().empty() && graph.outputs().empty(), "a graph with blocks or outputs is cut");
    const Passing passing(graph, values);
    const std::set<NodeId> cuts = cuts_of(graph, passing);
    if (cuts.empty()) return graph;
    Graph result;
    std::vector<ValueId> now(graph.values().size(), -1);
    now[0] = result.add_input(graph.values().front(), graph.input_shape());
    if (!graph.inputs().empty()) result.set_inputs(graph.inputs());
    if (graph.one_by_one()) result.set_one_by_one();
    for (const Parameter& parameter : graph.parameters()) (void)result.add_parameter(parameter);
    for (NodeId id = 0; id < graph.node_count(); ++id) {
        const Node& node = graph.node(id);
        std::vector<ValueId> inputs;
        for (const ValueId value : node.inputs) inputs.push_back(now[index(value)]);
        now[index(node.output)] = result.add(node.name, node.op, inputs, node.parameters);
        if (!cuts.contains(id)) continue;
        std::vector<ValueId> together;
        std::vector<Shape> shapes;
        for (const ValueId value : passing.behind(id)) {
            together.push_back(by_sample(result, now[index(value)]));
            const Shape& shape = passing.shape(value);
            shapes.emplace_back(shape.begin() + (passing.is_of_sample(value) ? 1 : 0), shape.end());
        }
        const ValueId record = add_record(result, together);
        const std::vector<RecordPart> parts = record_parts(shapes);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const ValueId value = passing.behind(id)[i];
            ValueId part = parts.size() == 1 ? record : add_part(result, record, parts[i]);
            if (!passing.is_of_sample(value))
                part = result.add("record.whole", make_reshape(passing.shape(value)), {part});
            now[index(value)] = part;
        }
    }
    for (ValueId& value : values) value = now[index(value)];
    return result;
}

}  // namespace jlcm
