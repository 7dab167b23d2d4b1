#include "core/graph/graph.hpp"

#include <algorithm>

namespace jlcm {
namespace {

std::size_t index(int id) {
    return static_cast<std::size_t>(id);
}

Shape one_sample(Shape shape) {
    shape.front() = 1;
    return shape;
}

}  // namespace

ValueId Graph::add_input(const std::string& name, Shape shape) {
    values_.push_back(name);
    input_shape_ = std::move(shape);
    return static_cast<ValueId>(values_.size()) - 1;
}

ParameterId Graph::add_parameter(Parameter parameter) {
    ensure(!find_parameter(parameter.name) || parameter.tied_to >= 0, "parameter {} added twice",
           parameter.name);
    parameters_.push_back(std::move(parameter));
    return static_cast<ParameterId>(parameters_.size()) - 1;
}

ValueId Graph::add(const std::string& name, OperatorPtr op, std::vector<ValueId> inputs,
                   std::vector<ParameterId> parameters) {
    values_.push_back(name);
    const auto output = static_cast<ValueId>(values_.size()) - 1;
    for (const ValueId input : inputs)
        ensure(input >= 0 && input < output, "node {} reads value {}", name, input);
    nodes_.push_back({name, std::move(op), std::move(inputs), std::move(parameters), output});
    return output;
}

void Graph::add_block(Block block) {
    ensure(blocks_.empty() || blocks_.back().nodes.end == block.nodes.first,
           "block {} does not follow the last one", block.name);
    for (const ParameterId id : parameters_of(block.nodes)) {
        Parameter& read = parameters_[static_cast<std::size_t>(id)];
        if (read.block < 0) read.block = static_cast<int>(blocks_.size());
    }
    blocks_.push_back(std::move(block));
}

void Graph::join_blocks(std::int64_t count) {
    ensure(count >= 1, "{} blocks joined to one", count);
    std::vector<Block> joined;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        if (i % static_cast<std::size_t>(count) == 0) {
            joined.push_back(blocks_[i]);
            continue;
        }
        Block& last = joined.back();
        ensure(last.output == blocks_[i].input, "block {} reads more than {} makes", blocks_[i].name,
               last.name);
        last.name = fmt::format("{}, {}", last.name, blocks_[i].name);
        last.nodes.end = blocks_[i].nodes.end;
        last.output = blocks_[i].output;
    }
    blocks_ = std::move(joined);
}

void Graph::set_head(ValueId features, ParameterId head, double soft_cap) {
    features_ = features;
    head_ = head;
    head_soft_cap_ = soft_cap;
}

void Graph::set_inputs(std::vector<GraphInput> inputs) {
    std::int64_t elements = 0;
    for (const GraphInput& each : inputs) elements += element_count(each.shape);
    ensure(inputs.size() > 1 && input_shape_.size() == 2 && input_shape_[1] == elements,
           "{} inputs of {} elements in shape {}", inputs.size(), elements, to_string(input_shape_));
    inputs_ = std::move(inputs);
}

void Graph::set_outputs(std::vector<GraphOutput> outputs, ValueId features) {
    const auto is_made = [&](ValueId value) { return value > 0 && index(value) < values_.size(); };
    ensure(!outputs.empty() && is_made(features), "{} outputs, compared by value {}", outputs.size(),
           features);
    for (const GraphOutput& each : outputs)
        ensure(is_made(each.value) && is_made(each.compared),
               "the output {} is value {}, compared by value {}", each.name, each.value, each.compared);
    outputs_ = std::move(outputs);
    set_head(features, -1);
}

std::optional<ParameterId> Graph::find_parameter(const std::string& name) const {
    const auto found = std::ranges::find(parameters_, name, &Parameter::name);
    if (found == parameters_.end()) return std::nullopt;
    return static_cast<ParameterId>(found - parameters_.begin());
}

Block Graph::body() const {
    const NodeId end =
        outputs_.empty() ? node_count() : static_cast<NodeId>(features_);  // node i makes value i + 1
    return {"model", {0, end}, input(), features_};
}

Block Graph::prologue() const {
    if (blocks_.empty()) return body();
    return {"prologue", {0, blocks_.front().nodes.first}, input(), blocks_.front().input};
}

Block Graph::epilogue() const {
    const NodeId end = body().nodes.end;
    if (blocks_.empty()) return {"epilogue", {end, end}, features_, features_};
    return {"epilogue", {blocks_.back().nodes.end, end}, blocks_.back().output, features_};
}

std::vector<Graph::LinearUse> Graph::linears(NodeRange range) const {
    std::vector<LinearUse> uses;
    for (NodeId id = range.first; id < range.end; ++id)
        for (const ParameterId parameter_id : node(id).parameters)
            if (parameter(parameter_id).linear) uses.push_back({parameter_id, id});
    return uses;
}

std::vector<ParameterId> Graph::parameters_of(NodeRange range) const {
    std::vector<ParameterId> found;
    for (NodeId id = range.first; id < range.end; ++id)
        for (const ParameterId parameter_id : node(id).parameters)
            if (std::ranges::find(found, parameter_id) == found.end()) found.push_back(parameter_id);
    return found;
}

std::vector<ParameterId> Graph::tables() const {
    std::vector<ParameterId> ids;
    for (const ParameterId id : parameters_of(body().nodes))
        if (parameter(id).role == "embedding") ids.push_back(id);
    if (head_ >= 0 && head_table() == head_) ids.push_back(head_);
    return ids;
}

ParameterId Graph::head_table() const {
    return head_ >= 0 && parameter(head_).tied_to >= 0 ? parameter(head_).tied_to : head_;
}

std::vector<Shape> Graph::infer(const Shape& input) const {
    if (one_by_one_ && input.at(0) != 1) {
        std::vector<Shape> shapes = infer(one_sample(input));
        for (Shape& shape : shapes)
            if (!shape.empty()) shape.front() *= input.front();
        return shapes;
    }
    std::vector<Shape> shapes(values_.size());
    shapes.at(0) = input;
    for (const Node& node : nodes_) {
        std::vector<Shape> in;
        std::vector<Shape> with;
        for (const ValueId value : node.inputs) in.push_back(shapes[static_cast<std::size_t>(value)]);
        for (const ParameterId id : node.parameters) with.push_back(parameter(id).shape);
        try {
            shapes[static_cast<std::size_t>(node.output)] = node.op->infer(in, with);
        } catch (const Error& error) {
            throw error.within(node.name);
        }
    }
    return shapes;
}

double Graph::flops(NodeRange range, const Shape& input) const {
    if (one_by_one_ && input.at(0) != 1)
        return static_cast<double>(input.front()) * flops(range, one_sample(input));
    const std::vector<Shape> shapes = infer(input);
    double total = 0;
    for (NodeId id = range.first; id < range.end; ++id) {
        std::vector<Shape> in;
        std::vector<Shape> with;
        for (const ValueId value : node(id).inputs) in.push_back(shapes[static_cast<std::size_t>(value)]);
        for (const ParameterId parameter_id : node(id).parameters)
            with.push_back(parameter(parameter_id).shape);
        total += node(id).op->flops(in, with);
    }
    return total;
}

}  // namespace jlcm
