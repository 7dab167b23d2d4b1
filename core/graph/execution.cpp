#include "core/graph/execution.hpp"

#include "core/backend/decoded_weight.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm {
namespace {

std::size_t index(int id) {
    return static_cast<std::size_t>(id);
}

/// One node's view of a run under way.
class NodeContext final : public BackwardContext {
  public:
    NodeContext(Backend& backend, const Node& node, const Weights& weights, Recording& run, bool keep,
                SequenceState* state = nullptr)
        : backend_(&backend), node_(&node), weights_(&weights), run_(&run), keep_(keep), state_(state) {}

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
    const Tensor& parameter(std::size_t i) const override { return weight(i).dense(); }
    const BoundWeight& weight(std::size_t i) const override {
        const BoundWeight& bound = weights_->weight(node_->parameters[i]);
        ensure(bound.defined(), "{}: parameter {} is not bound", node_->name, i);
        return bound;
    }
    DType compute() const override { return run_->compute; }
    void save(Tensor tensor) const override {
        if (keep_) saved_list().push_back(std::move(tensor));
    }
    PreparedWeight* prepared(std::size_t i) const override {
        return weights_->prepared(node_->parameters[i]);
    }

    std::int64_t position() const override { return state_ != nullptr ? state_->position() : 0; }
    KeyValueCache* cache() const override {
        return state_ != nullptr ? &state_->cache(run_->range.first + static_cast<NodeId>(position_))
                                 : nullptr;
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

    void set_node(NodeId id) { position_ = index(id - run_->range.first); }

  private:
    std::vector<Tensor>& saved_list() const { return run_->saved.at(position_); }

    Backend* backend_;
    const Node* node_;
    const Weights* weights_;
    Recording* run_;
    bool keep_;
    SequenceState* state_;
    std::size_t position_ = 0;
    const Tensor* gradient_ = nullptr;
    std::vector<Tensor>* value_gradients_ = nullptr;
    Gradients* gradients_ = nullptr;
    const std::vector<bool>* wanted_ = nullptr;
    mutable Tensor converted_gradient_;
};

/// Who reads a value in a range of nodes.
struct Readers {
    NodeId last = -1;
    int count = 0;  ///< inputs
};

std::vector<Readers> readers_in(const Graph& graph, NodeRange range) {
    std::vector<Readers> readers(graph.values().size());
    for (NodeId id = range.first; id < range.end; ++id)
        for (const ValueId value : graph.node(id).inputs)
            readers[index(value)] = {id, readers[index(value)].count + 1};
    return readers;
}

/// Shapes of the range's values for an input of this shape.
std::vector<Shape> shapes_in(const Graph& graph, NodeRange range, ValueId input_value, const Shape& input) {
    std::vector<Shape> shapes(graph.values().size());
    shapes[index(input_value)] = input;
    for (NodeId id = range.first; id < range.end; ++id) {
        const Node& node = graph.node(id);
        std::vector<Shape> in;
        std::vector<Shape> with;
        for (const ValueId value : node.inputs) in.push_back(shapes[index(value)]);
        for (const ParameterId parameter : node.parameters) with.push_back(graph.parameter(parameter).shape);
        shapes[index(node.output)] = node.op->infer(in, with);
    }
    return shapes;
}

Tensor joined(const std::vector<Tensor>& parts) {
    if (parts.size() == 1) return parts.front();
    Shape shape = parts.front().shape();
    shape.front() = 0;
    for (const Tensor& part : parts) shape.front() += part.rows();
    Tensor whole = Tensor::empty(shape, parts.front().dtype());
    std::int64_t first = 0;
    for (const Tensor& part : parts) {
        std::ranges::copy(part.bytes(), whole.slice(first, first + part.rows()).bytes().begin());
        first += part.rows();
    }
    return whole;
}

}  // namespace

/// Weights of runs over a range, in which the packed parameters that a node reads as tensors are dense as long as it runs.
class Executor::OpenedWeights {
  public:
    OpenedWeights(const Graph& graph, NodeRange range, const Weights& bound)
        : graph_(&graph), bound_(&bound) {
        for (NodeId id = range.first; id < range.end; ++id)
            for (const ParameterId each : to_open(id)) {
                largest_ = std::max(largest_, element_count(bound.weight(each).shape()));
                if (!opened_) opened_ = bound;
            }
    }

    [[nodiscard]] const Weights& weights() const { return opened_ ? *opened_ : *bound_; }
    [[nodiscard]] bool opens_any() const { return opened_.has_value(); }
    /// Elements of the largest weight that is opened.
    [[nodiscard]] std::int64_t largest() const { return largest_; }
    [[nodiscard]] bool opens(NodeId id) const { return !to_open(id).empty(); }

    void while_open(NodeId id, const std::function<void()>& body) {
        if (!opened_) return body();
        Weights& opened = *opened_;
        const std::vector<ParameterId> parameters = to_open(id);
        for (const ParameterId each : parameters) opened.bind(each, dense_of(bound_->weight(each)));
        body();
        for (const ParameterId each : parameters) opened.bind(each, bound_->weight(each));
    }

  private:
    [[nodiscard]] std::vector<ParameterId> to_open(NodeId id) const {
        const Node& node = graph_->node(id);
        std::vector<ParameterId> result;
        for (std::size_t i = 0; i < node.parameters.size(); ++i)
            if (bound_->weight(node.parameters[i]).is_packed() && !node.op->takes_packed(i))
                result.push_back(node.parameters[i]);
        return result;
    }

    const Graph* graph_;
    const Weights* bound_;
    std::optional<Weights> opened_;  ///< none: nothing is to be opened
    std::int64_t largest_ = 0;
};

/// A forward under way.
class Executor::Run {
  public:
    Run(const Executor& executor, const Block& block, const Tensor& input, const OpenedWeights& weights,
        Recording& recording, bool keep, const LinearObserver& observer, SequenceState* state = nullptr)
        : executor_(&executor),
          graph_(executor.graph_),
          range_(block.nodes),
          opened_(&weights),
          output_value_(block.output),
          values_(&recording),
          keep_(keep),
          observer_(&observer),
          state_(state),
          readers_(readers_in(*graph_, range_)),
          taken_along_(index(range_.end - range_.first), false) {
        const std::size_t values = graph_->values().size();
        recording = Recording{range_,
                              executor.compute_,
                              std::vector<Tensor>(values),
                              std::vector<Tensor>(values),
                              std::vector<std::vector<Tensor>>(index(range_.end - range_.first)),
                              {}};
        recording.values[index(block.input)] = input;
    }

    /// For every node of the range, in order.
    void step(NodeId id) {
        if (!taken_along_[index(id - range_.first)]) run(id);
        if (!keep_) release_inputs(id);
    }

    [[nodiscard]] Tensor output() const { return values_->values[index(output_value_)]; }

  private:
    NodeContext context_of(NodeId id) const {
        NodeContext context(*executor_->backend_, graph_->node(id), opened_->weights(), *values_, keep_,
                            state_);
        context.set_node(id);
        return context;
    }

    void run(NodeId id) {
        const Node& node = graph_->node(id);
        const NodeContext context = context_of(id);
        for (const ValueId value : node.inputs)
            ensure(is_there(value), "{} reads a value from outside the range", node.name);
        if (*observer_ && !node.parameters.empty() && graph_->parameter(node.parameters[0]).linear)
            (*observer_)(id, node.op->weight_inputs(context));
        if (keep_ || !node.op->takes_epilogue()) {
            values_->values[index(node.output)] = node.op->forward(context);
            return;
        }
        const Shape shape = output_shape(id);
        Epilogue epilogue;
        NodeId last = id;
        for (NodeId next = follower(last); next >= 0 && fuse(epilogue, next, last, shape);
             next = follower(last)) {
            taken_along_[index(next - range_.first)] = true;
            last = next;
        }
        values_->values[index(graph_->node(last).output)] = node.op->forward_through(context, epilogue);
    }

    [[nodiscard]] bool is_there(ValueId value) const { return values_->values[index(value)].defined(); }

    [[nodiscard]] Shape output_shape(NodeId id) const {
        const Node& node = graph_->node(id);
        std::vector<Shape> inputs;
        std::vector<Shape> parameters;
        for (const ValueId value : node.inputs) inputs.push_back(values_->values[index(value)].shape());
        for (const ParameterId parameter : node.parameters)
            parameters.push_back(opened_->weights().weight(parameter).shape());
        return node.op->infer(inputs, parameters);
    }

    /// The one node that reads what node `id` makes, or -1.
    [[nodiscard]] NodeId follower(NodeId id) const {
        const ValueId value = graph_->node(id).output;
        return value != output_value_ && readers_[index(value)].count == 1 ? readers_[index(value)].last : -1;
    }

    bool fuse(Epilogue& epilogue, NodeId next, NodeId last, const Shape& shape) const {
        const std::vector<ValueId>& inputs = graph_->node(next).inputs;
        const auto from = std::ranges::find(inputs, graph_->node(last).output);
        const auto missing = std::ranges::count_if(inputs, [&](ValueId value) { return !is_there(value); });
        return missing == 1 && !opened_->opens(next) &&
               graph_->node(next).op->fuse(epilogue, context_of(next),
                                           index(static_cast<int>(from - inputs.begin())), shape);
    }

    void release_inputs(NodeId id) {
        for (const ValueId value : graph_->node(id).inputs) {
            if (readers_[index(value)].last != id || value == output_value_) continue;
            values_->values[index(value)] = Tensor();
            values_->converted[index(value)] = Tensor();
        }
    }

    const Executor* executor_;
    const Graph* graph_;
    NodeRange range_;
    const OpenedWeights* opened_;
    ValueId output_value_;
    Recording* values_;
    bool keep_;
    const LinearObserver* observer_;
    SequenceState* state_;
    std::vector<Readers> readers_;
    std::vector<bool> taken_along_;  ///< by node of the range: an earlier one did its work
};

std::vector<Tensor> Executor::through(std::vector<Run>& runs, NodeRange range, OpenedWeights& weights) {
    for (NodeId id = range.first; id < range.end; ++id)
        weights.while_open(id, [&] {
            parallel_for(std::ssize(runs), 1, [&](std::int64_t begin, std::int64_t) {
                runs[static_cast<std::size_t>(begin)].step(id);
            });
        });
    std::vector<Tensor> outputs;
    for (const Run& run : runs) outputs.push_back(run.output());
    return outputs;
}

std::int64_t Executor::images_at_once(const Block& block, const Shape& input) const {
    // Work that is worth a walk through the graph, in floating-point operations.
    constexpr double enough = 1e8;
    constexpr std::size_t image_dimensions = 4;
    if (graph_->one_by_one()) return 1;
    if (input.size() != image_dimensions || input[0] <= 1 || block.input == block.output) return input[0];
    const auto shapes = shapes_in(*graph_, block.nodes, block.input, input);
    Shape one = input;
    one[0] = 1;
    std::vector<Shape> alone;
    try {
        alone = shapes_in(*graph_, block.nodes, block.input, one);
    } catch (const Error&) {
        return input[0];  // a constant shape names the number of images
    }
    double work = 0;
    for (NodeId id = block.nodes.first; id < block.nodes.end; ++id) {
        const Node& node = graph_->node(id);
        Shape of_one = shapes[index(node.output)];
        if (of_one.empty() || of_one[0] != input[0]) return input[0];
        of_one[0] = 1;
        if (of_one != alone[index(node.output)]) return input[0];
        std::vector<Shape> in;
        std::vector<Shape> with;
        for (const ValueId value : node.inputs) in.push_back(alone[index(value)]);
        for (const ParameterId parameter : node.parameters)
            with.push_back(graph_->parameter(parameter).shape);
        work += node.op->flops(in, with);
    }
    return std::clamp(static_cast<std::int64_t>(enough / std::max(work, 1.0)), std::int64_t{1}, input[0]);
}

Tensor Executor::forward(const Block& block, const Weights& weights, const Tensor& input,
                         Recording* recording, const LinearObserver& observer) const {
    if (graph_->one_by_one() && input.rows() > 1 && (recording != nullptr || observer))
        return one_by_one(block, weights, input, recording, observer);
    OpenedWeights opened(*graph_, block.nodes, weights);
    if (recording != nullptr) {
        std::vector<Run> run;
        run.emplace_back(*this, block, input, opened, *recording, true, observer);
        return through(run, block.nodes, opened).front();
    }
    const std::int64_t rows = input.rows();
    const std::int64_t step =
        observer ? rows : std::max<std::int64_t>(images_at_once(block, input.shape()), 1);
    std::vector<Tensor> parts(static_cast<std::size_t>(std::max<std::int64_t>((rows + step - 1) / step, 1)));
    const auto some = [&](std::int64_t first, std::int64_t end) {
        std::vector<Recording> values(static_cast<std::size_t>(end - first));
        std::vector<Run> runs;
        for (std::int64_t part = first; part < end; ++part)
            runs.emplace_back(*this, block, input.slice(part * step, std::min(rows, (part + 1) * step)),
                              opened, values[static_cast<std::size_t>(part - first)], false, observer);
        std::ranges::move(through(runs, block.nodes, opened), parts.begin() + first);
    };
    if (!opened.opens_any()) {
        parallel_for(std::ssize(parts), 1, some);
    } else {
        // Side by side, so that a weight is decoded once for several: as many as fill the memory of the largest weight
        // with their largest value, or one a thread.
        Shape part = input.shape();
        part[0] = step;
        std::int64_t largest_value = 1;
        for (const Shape& shape : shapes_in(*graph_, block.nodes, block.input, part))
            largest_value = std::max(largest_value, element_count(shape));
        const std::int64_t width = std::max<std::int64_t>(thread_count(), opened.largest() / largest_value);
        for (std::int64_t first = 0; first < std::ssize(parts); first += width)
            some(first, std::min(first + width, std::ssize(parts)));
    }
    return joined(parts);
}

Tensor Executor::one_by_one(const Block& block, const Weights& weights, const Tensor& input,
                            Recording* recording, const LinearObserver& observer) const {
    const auto samples = static_cast<std::size_t>(input.rows());
    std::vector<Recording> recordings(recording != nullptr ? samples : 0);
    std::vector<Tensor> outputs(samples);
    const auto run = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            outputs[static_cast<std::size_t>(i)] =
                forward(block, weights, input.slice(i, i + 1),
                        recording != nullptr ? &recordings[static_cast<std::size_t>(i)] : nullptr, observer);
    };
    // Whoever observes them wants one after the other.
    if (observer)
        run(0, input.rows());
    else
        parallel_for(input.rows(), 1, run);
    if (recording != nullptr) {
        *recording = Recording();
        recording->apart = std::move(recordings);
    }
    return joined(outputs);
}

Tensor Executor::forward(const Block& block, const Weights& weights, const Tensor& input,
                         SequenceState& state) const {
    OpenedWeights opened(*graph_, block.nodes, weights);
    Recording values;
    const LinearObserver nobody;
    std::vector<Run> run;
    run.emplace_back(*this, block, input, opened, values, false, nobody, &state);
    return through(run, block.nodes, opened).front();
}

void Executor::backward(const Block& block, const Recording& recording, const Weights& weights,
                        const Tensor& output_gradient, Gradients& gradients,
                        const GradientObserver& observer) const {
    if (!recording.apart.empty())
        return backward_one_by_one(block, recording, weights, output_gradient, gradients, observer);
    // Contexts share one class with the forward, which writes converted copies; they are a cache of the
    // recording.
    Recording run = recording;
    // A value's gradient is wanted where it leads to a wanted parameter or to the wanted input.
    std::vector<bool> wanted(graph_->values().size(), false);
    wanted[index(block.input)] = gradients.want_input;
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
    value_gradients[index(block.output)] = output_gradient;
    for (NodeId id = run.range.end - 1; id >= run.range.first; --id) {
        const Node& node = graph_->node(id);
        const Tensor gradient = std::exchange(value_gradients[index(node.output)], Tensor());
        if (!gradient.defined() || !wanted[index(node.output)]) continue;
        if (observer && !node.parameters.empty() && graph_->parameter(node.parameters[0]).linear)
            observer(id, gradient);
        NodeContext context(*backend_, node, weights, run, false);
        context.set_node(id);
        context.set_backward(gradient, value_gradients, gradients, wanted);
        node.op->backward(context);
    }
    if (gradients.want_input) gradients.input = value_gradients[index(block.input)];
}

void Executor::backward_one_by_one(const Block& block, const Recording& recording, const Weights& weights,
                                   const Tensor& output_gradient, Gradients& gradients,
                                   const GradientObserver& observer) const {
    std::vector<Tensor> inputs;
    for (const Recording& sample : recording.apart) {
        const auto i = std::ssize(inputs);
        backward(block, sample, weights, output_gradient.slice(i, i + 1), gradients, observer);
        inputs.push_back(std::move(gradients.input));
    }
    if (gradients.want_input && inputs.front().defined()) gradients.input = joined(inputs);
}

}  // namespace jlcm
