#include "core/graph/execution.hpp"

#include <algorithm>

namespace jlcm {
namespace {

std::size_t index(int id) {
    return static_cast<std::size_t>(id);
}

/// One node's view of a run under way.
class NodeContext final : public BackwardContext {
  public:
    NodeContext(Backend& backend, const Node& node, const Weights& weights, Recording& run, bool keep)
        : backend_(&backend), node_(&node), weights_(&weights), run_(&run), keep_(keep) {}

    /// Turns the view into a backward one.
    void set_backward(const Tensor& gradient, std::vector<Tensor>& value_gradients, Gradients& gradients,
                      const std::vector<bool>& wanted) {
        gradient_ = &gradient;
        value_gradients_ = &value_gradients;
        gradients_ = &gradients;
        wanted_ = &wanted;
    }

    Backend& backend() const override { return *backend_; }
    std::size_t inputs() const override { return node_->inputs.size(); }
    const Tensor& input(std::size_t i) const override { return run_->values[index(node_->inputs[i])]; }
    const Tensor& input_as(std::size_t i, DType type) const override {
        const Tensor& plain = input(i);
        if (plain.dtype() == type) return plain;
        Tensor& copy = run_->converted[index(node_->inputs[i])];
        if (!copy.defined() || copy.dtype() != type) copy = backend_->convert(plain, type);
        return copy;
    }
    const Tensor& parameter(std::size_t i) const override {
        const Tensor& tensor = (*weights_)[node_->parameters[i]];
        ensure(tensor.defined(), "{}: parameter {} is not bound", node_->name, i);
        return tensor;
    }
    DType compute() const override { return run_->compute; }
    void save(Tensor tensor) const override {
        if (keep_) saved_list().push_back(std::move(tensor));
    }

    const Tensor& output() const override { return run_->values[index(node_->output)]; }
    const Tensor& saved(std::size_t i) const override { return saved_list().at(i); }
    const Tensor& gradient() const override { return *gradient_; }
    const Tensor& gradient_as(DType type) const override {
        if (gradient_->dtype() == type) return *gradient_;
        if (!converted_gradient_.defined()) converted_gradient_ = backend_->convert(*gradient_, type);
        return converted_gradient_;
    }
    bool wants_input(std::size_t i) const override { return (*wanted_)[index(node_->inputs[i])]; }
    Tensor* parameter_gradient(std::size_t i) const override {
        const auto found = gradients_->parameters.find(node_->parameters[i]);
        return found == gradients_->parameters.end() ? nullptr : &found->second;
    }
    bool wants_parameter(std::size_t i) const override {
        const ParameterId id = node_->parameters[i];
        return gradients_->parameters.contains(id) || gradients_->terms.contains(id);
    }
    void add_parameter_gradient(std::size_t i, const Tensor& gradient) const override {
        if (const auto later = gradients_->terms.find(node_->parameters[i]);
            later != gradients_->terms.end()) {
            later->second.push_back({Tensor(), gradient});
        } else if (Tensor* slot = parameter_gradient(i)) {
            backend_->add_scaled(*slot, gradient, 1.0);
        }
    }
    void add_weight_gradient(std::size_t i, const Tensor& gradient, const Tensor& input) const override {
        if (const auto later = gradients_->terms.find(node_->parameters[i]);
            later != gradients_->terms.end()) {
            later->second.push_back({gradient, input});
        } else if (Tensor* slot = parameter_gradient(i)) {
            backend_->gemm(matrix(gradient), Transpose::yes, matrix(input), Transpose::no, *slot, true);
        }
    }
    void add_input_gradient(std::size_t i, Tensor gradient) const override {
        if (!wants_input(i)) return;
        Tensor& slot = input_gradient(i);
        if (slot.defined()) {
            backend_->add_scaled(slot, gradient, 1.0);
        } else {
            slot = std::move(gradient);
        }
    }
    Tensor& input_gradient(std::size_t i) const override {
        return (*value_gradients_)[index(node_->inputs[i])];
    }

    void set_position(NodeId id) { position_ = index(id - run_->range.first); }

  private:
    std::vector<Tensor>& saved_list() const { return run_->saved.at(position_); }

    Backend* backend_;
    const Node* node_;
    const Weights* weights_;
    Recording* run_;
    bool keep_;
    std::size_t position_ = 0;
    const Tensor* gradient_ = nullptr;
    std::vector<Tensor>* value_gradients_ = nullptr;
    Gradients* gradients_ = nullptr;
    const std::vector<bool>* wanted_ = nullptr;
    mutable Tensor converted_gradient_;
};

/// The last node of the range that reads each value.
std::vector<NodeId> last_uses(const Graph& graph, NodeRange range) {
    std::vector<NodeId> last(graph.values().size(), -1);
    for (NodeId id = range.first; id < range.end; ++id)
        for (const ValueId value : graph.node(id).inputs) last[index(value)] = id;
    return last;
}

}  // namespace

Tensor Executor::forward(NodeRange range, const Weights& weights, ValueId input_value, const Tensor& input,
                         ValueId output_value, Recording* recording, const LinearObserver& observer) const {
    Recording local;
    Recording& run = recording != nullptr ? *recording : local;
    run = Recording{range, compute_, std::vector<Tensor>(graph_->values().size()),
                    std::vector<Tensor>(graph_->values().size()),
                    std::vector<std::vector<Tensor>>(index(range.end - range.first))};
    run.values[index(input_value)] = input;
    const std::vector<NodeId> last = last_uses(*graph_, range);
    for (NodeId id = range.first; id < range.end; ++id) {
        const Node& node = graph_->node(id);
        NodeContext context(*backend_, node, weights, run, recording != nullptr);
        context.set_position(id);
        for (const ValueId value : node.inputs)
            ensure(run.values[index(value)].defined(), "{} reads a value from outside the range", node.name);
        if (observer && !node.parameters.empty() && graph_->parameter(node.parameters[0]).linear)
            observer(id, node.op->weight_inputs(context));
        run.values[index(node.output)] = node.op->forward(context);
        if (recording != nullptr) continue;
        for (const ValueId value : node.inputs) {
            if (last[index(value)] != id || value == output_value) continue;
            run.values[index(value)] = Tensor();
            run.converted[index(value)] = Tensor();
        }
    }
    return run.values[index(output_value)];
}

void Executor::backward(const Recording& recording, const Weights& weights, ValueId input_value,
                        ValueId output_value, const Tensor& output_gradient, Gradients& gradients,
                        const GradientObserver& observer) const {
    // Contexts share one class with the forward, which writes converted copies; they are a cache of the
    // recording.
    Recording run = recording;
    // A value's gradient is wanted where it leads to a wanted parameter or to the wanted input.
    std::vector<bool> wanted(graph_->values().size(), false);
    wanted[index(input_value)] = gradients.want_input;
    for (NodeId id = run.range.first; id < run.range.end; ++id) {
        const Node& node = graph_->node(id);
        const bool needed =
            std::ranges::any_of(node.inputs, [&](ValueId value) { return wanted[index(value)]; }) ||
            std::ranges::any_of(node.parameters, [&](ParameterId p) {
                return gradients.parameters.contains(p) || gradients.terms.contains(p);
            });
        if (needed) wanted[index(node.output)] = true;
    }
    std::vector<Tensor> value_gradients(graph_->values().size());
    value_gradients[index(output_value)] = output_gradient;
    for (NodeId id = run.range.end - 1; id >= run.range.first; --id) {
        const Node& node = graph_->node(id);
        const Tensor gradient = std::exchange(value_gradients[index(node.output)], Tensor());
        if (!gradient.defined() || !wanted[index(node.output)]) continue;
        if (observer && !node.parameters.empty() && graph_->parameter(node.parameters[0]).linear)
            observer(id, gradient);
        NodeContext context(*backend_, node, weights, run, false);
        context.set_position(id);
        context.set_backward(gradient, value_gradients, gradients, wanted);
        node.op->backward(context);
    }
    if (gradients.want_input) gradients.input = value_gradients[index(input_value)];
}

}  // namespace jlcm
