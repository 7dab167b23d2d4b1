// LSTM, GRU and RNN: for each direction a product with what comes from outside, of all steps at once, and a recurrent
// layer (core/graph/recurrent.hpp).
#include "core/formats/onnx_context.hpp"
#include "core/graph/recurrent.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace jlcm::onnx_rules {
namespace {

/// A node's attributes and sizes.
struct Layer {
    RecurrentCell cell = RecurrentCell::lstm;
    std::vector<bool> reverse;  ///< by direction
    std::int64_t steps = 0;
    std::int64_t width = 0;
    std::int64_t gates = 0;
    bool samples_first = false;  ///< [samples, steps, ..] in place of [steps, samples, ..]
};

/// The functions of the gates are those that the operator is named for, and are said once for each direction.
void require_functions(const OnnxNode& node, const Layer& layer, const std::vector<std::string>& usual) {
    const auto found = node.attributes.find("activations");
    if (found == node.attributes.end()) return;
    std::vector<std::string> wanted;
    for (std::size_t d = 0; d < layer.reverse.size(); ++d)
        wanted.insert(wanted.end(), usual.begin(), usual.end());
    const auto* said = std::get_if<std::vector<std::string>>(&found->second);
    require(said != nullptr && *said == wanted, "its activations are not the usual ones, {}",
            fmt::join(usual, ", "));
}

Layer layer_of(const OnnxNode& node, const Value& x, const OnnxTensor& recurrence, RecurrentCell cell) {
    Layer layer;
    layer.cell = cell;
    layer.gates = gates_of(cell);
    const std::string direction = node.text("direction", "forward");
    require(direction == "forward" || direction == "reverse" || direction == "bidirectional",
            "the direction '{}'", direction);
    layer.reverse = direction == "bidirectional" ? std::vector<bool>{false, true}
                                                 : std::vector<bool>{direction == "reverse"};
    layer.samples_first = node.integer("layout", 0) != 0;
    const auto directions = std::ssize(layer.reverse);
    require(x.rank() == 3 && recurrence.shape.size() == 3 && recurrence.shape[0] == directions &&
                recurrence.shape[1] == layer.gates * recurrence.shape[2],
            "an input of shape {} and a recurrence of shape {} in {} directions", to_string(x.shape),
            to_string(recurrence.shape), directions);
    layer.steps = x.shape[layer.samples_first ? 1 : 0];
    layer.width = recurrence.shape[2];
    require(!node.has("clip"), "clipped gates are not supported");
    require(node.integer("input_forget", 0) == 0, "coupled input and forget gates are not supported");
    require(!node.has_input(7), "peepholes are not supported");
    return layer;
}

/// Lengths of sequences are supported where they are those of all steps.
void require_whole_sequences(const Context& context, const OnnxNode& node, const Layer& layer) {
    if (!node.has_input(4)) return;
    const OnnxTensor* lengths = context.input(node, 4).constant.get();
    require(
        lengths != nullptr && std::ranges::all_of(lengths->integers(),
                                                  [&](std::int64_t length) { return length == layer.steps; }),
        "sequences of lengths other than that of the input, {} steps, are not supported", layer.steps);
}

/// Elements of one direction of a constant [directions, ..].
std::vector<float> of_direction(const OnnxTensor& tensor, std::size_t direction, std::size_t directions) {
    const std::vector<float>& all = tensor.floats();
    const std::size_t size = all.size() / directions;
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(direction * size);
    return {first, first + static_cast<std::ptrdiff_t>(size)};
}

/// Biases of the input and of the state, which are added where nothing lies between them.
struct Biases {
    std::vector<float> outside;
    std::vector<float> candidate;  ///< of the state's product, if the reset lies behind it
};
Biases biases_of(const Context& context, const OnnxNode& node, const Layer& layer, std::size_t direction) {
    const auto rows = static_cast<std::size_t>(layer.gates * layer.width);
    const auto width = static_cast<std::size_t>(layer.width);
    std::vector<float> both(2 * rows, 0.0F);
    if (node.has_input(3)) {
        const OnnxTensor& given = context.constant(node, 3);
        require(given.shape == Shape({std::ssize(layer.reverse), 2 * layer.gates * layer.width}),
                "biases of shape {}", to_string(given.shape));
        both = of_direction(given, direction, layer.reverse.size());
    }
    Biases biases;
    const bool is_apart = layer.cell == RecurrentCell::gru_reset_behind;
    for (std::size_t i = 0; i < rows; ++i)
        biases.outside.push_back(both[i] + (is_apart && i >= 2 * width ? 0.0F : both[rows + i]));
    if (is_apart) biases.candidate.assign(both.end() - static_cast<std::ptrdiff_t>(width), both.end());
    return biases;
}

bool is_zero(const OnnxTensor& tensor) {
    return tensor.is_float() && std::ranges::all_of(tensor.floats(), [](float value) { return value == 0; });
}

/// A first state [samples, width] of a direction; `samples`: as many as the layer reads.
ValueId first_state(Context& context, const OnnxNode& node, const Layer& layer, std::size_t input,
                    std::size_t direction, std::int64_t samples) {
    const Value state = context.data(node, input);
    const auto directions = std::ssize(layer.reverse);
    // A file for one sample, of one direction, leaves open which of its ones is which.
    const bool is_first = layer.samples_first || (directions == 1 && samples > 1 && state.rank() == 3 &&
                                                  state.shape[0] == samples && state.shape[1] == 1);
    const std::size_t along = is_first ? 1 : 0;
    require(state.rank() == 3 && state.shape[along] == directions && state.shape[2] == layer.width,
            "a first state of shape {}", to_string(state.shape));
    const std::int64_t own = state.shape[1 - along];
    require(own == samples || own == 1, "a first state of shape {} for {} samples", to_string(state.shape),
            samples);
    ValueId id =
        context.in_places(node, state, is_first ? std::vector<int>{0, 1, 2} : std::vector<int>{1, 0, 2});
    if (directions > 1)
        id = context.emit(node, make_slice({1, static_cast<std::int64_t>(direction), 1, 1}), {id}).id;
    if (own == samples) return context.emit(node, make_reshape({-1, layer.width}), {id}).id;
    id = context.emit(node, make_reshape({1, layer.width}), {id}).id;
    if (!context.is_batch(samples)) return context.emit(node, make_expand({samples, layer.width}), {id}).id;
    return context.emit(node, make_expand({-1, layer.width}), {id, context.samples()}).id;
}

/// A name of a direction's part of a constant; the constant's own where it is all of it.
std::string part_name(const std::string& name, const Layer& layer, std::size_t direction) {
    if (layer.reverse.size() == 1) return name;
    return name + (layer.reverse[direction] ? ".reverse" : ".forward");
}

/// What a direction makes: [samples, steps, width], of an LSTM twice that.
ValueId pass(Context& context, const OnnxNode& node, const Layer& layer, ValueId x, std::size_t direction,
             std::int64_t samples) {
    const std::size_t directions = layer.reverse.size();
    const std::int64_t rows = layer.gates * layer.width;
    const OnnxTensor& weight = context.constant(node, 1);
    require(
        weight.shape.size() == 3 && weight.shape[0] == std::ssize(layer.reverse) && weight.shape[1] == rows,
        "weights of shape {}", to_string(weight.shape));
    const Biases biases = biases_of(context, node, layer, direction);
    const auto named = [&](std::size_t i, const char* ending) {
        return part_name(context.input(node, i).name, layer, direction) + ending;
    };
    const std::string bias_name = node.has_input(3) ? named(3, "") : named(1, ".bias");
    const ParameterId w = context.parameter(node, named(1, ""), "linear", {rows, weight.shape[2]},
                                            of_direction(weight, direction, directions), true);
    const ParameterId b = context.parameter(node, bias_name + ".sum", "bias", {rows}, biases.outside);
    const auto d = static_cast<std::int64_t>(direction);
    const bool is_apart = !biases.candidate.empty();
    if (directions > 1) context.note_part(w, context.input(node, 1).name, d * rows * weight.shape[2]);
    // Both biases of the file become one; what the reset lies behind of stays apart.
    const std::int64_t joined = is_apart ? 2 * layer.width : rows;
    if (node.has_input(3))
        context.note_part(b, context.input(node, 3).name, 2 * d * rows, {(2 * d + 1) * rows, joined});
    const ValueId outside = context.emit(node, make_linear(true), {x}, {w, b}).id;
    std::vector<ValueId> inputs{outside};
    std::vector<ParameterId> parameters{
        context.parameter(node, named(2, ""), "recurrent", {rows, layer.width},
                          of_direction(context.constant(node, 2), direction, directions), true)};
    if (directions > 1)
        context.note_part(parameters.front(), context.input(node, 2).name, d * rows * layer.width);
    if (is_apart) {
        parameters.push_back(
            context.parameter(node, bias_name + ".candidate", "bias", {layer.width}, biases.candidate));
        if (node.has_input(3))
            context.note_part(parameters.back(), context.input(node, 3).name, (2 * d + 1) * rows + joined);
    }
    const auto is_given = [&](std::size_t i) {
        return node.has_input(i) &&
               (context.input(node, i).constant == nullptr || !is_zero(*context.input(node, i).constant));
    };
    const bool has_cells = layer.cell == RecurrentCell::lstm;
    if (is_given(5) || (has_cells && is_given(6))) {
        const std::vector<std::size_t> given =
            has_cells ? std::vector<std::size_t>{5, 6} : std::vector<std::size_t>{5};
        for (const std::size_t i : given) {
            require(node.has_input(i), "one of the first state and the first cells is there");
            inputs.push_back(first_state(context, node, layer, i, direction, samples));
        }
    }
    return context.emit(node, make_recurrent({layer.cell, layer.reverse[direction]}), inputs, parameters).id;
}

/// Values of all directions, each [samples, .., width], with a dimension of directions before the last.
Value together(Context& context, const OnnxNode& node, const std::vector<ValueId>& values, const Shape& shape,
               const std::vector<int>& places) {
    if (values.size() == 1) return context.emit(node, make_reshape(shape), values, {}, places);
    std::vector<ValueId> apart;
    for (const ValueId value : values) apart.push_back(context.emit(node, make_reshape(shape), {value}).id);
    return context.emit(node, make_concat(static_cast<int>(shape.size()) - 2), apart, {}, places);
}

void lower(Context& context, const OnnxNode& node, RecurrentCell cell,
           const std::vector<std::string>& functions) {
    const Value x = context.data(node, 0);
    const Layer layer = layer_of(node, x, context.constant(node, 2), cell);
    require(!context.is_batch(layer.steps),
            "its steps lie along the dimension of samples; export the model with batch_first=True");
    require_functions(node, layer, functions);
    require_whole_sequences(context, node, layer);
    const std::vector<int> by_steps =
        layer.samples_first ? std::vector<int>{0, 1, 2} : std::vector<int>{1, 0, 2};
    const ValueId in = context.in_places(node, x, by_steps);
    const std::int64_t samples = x.shape[layer.samples_first ? 0 : 1];
    std::vector<ValueId> passes;
    for (std::size_t d = 0; d < layer.reverse.size(); ++d)
        passes.push_back(pass(context, node, layer, in, d, samples));

    const auto is_wanted = [&](std::size_t output) {
        return output < node.outputs.size() && context.is_needed(node.outputs[output]);
    };
    /// Columns [first, first + width) of a pass: its states, or its cells.
    const auto columns = [&](ValueId value, std::int64_t first) {
        if (cell != RecurrentCell::lstm) return value;
        return context.emit(node, make_slice({2, first, layer.width, 1}), {value}).id;
    };
    const auto last = [&](std::size_t output, std::int64_t first) {
        if (!is_wanted(output)) return;
        std::vector<ValueId> values;
        for (std::size_t d = 0; d < passes.size(); ++d) {
            const std::int64_t step = layer.reverse[d] ? 0 : layer.steps - 1;
            const ValueId end = context.emit(node, make_slice({1, step, 1, 1}), {passes[d]}).id;
            values.push_back(columns(end, first));
        }
        context.set(node, output, together(context, node, values, {-1, 1, layer.width}, by_steps));
    };
    if (is_wanted(0)) {
        std::vector<ValueId> values;
        for (const ValueId value : passes) values.push_back(columns(value, 0));
        const std::vector<int> places =
            layer.samples_first ? std::vector<int>{0, 1, 2, 3} : std::vector<int>{1, 2, 0, 3};
        context.set(node, together(context, node, values, {-1, layer.steps, 1, layer.width}, places));
    }
    last(1, 0);
    if (cell == RecurrentCell::lstm) last(2, layer.width);
}

void lstm(Context& context, const OnnxNode& node) {
    lower(context, node, RecurrentCell::lstm, {"Sigmoid", "Tanh", "Tanh"});
}

void gru(Context& context, const OnnxNode& node) {
    const bool is_behind = node.integer("linear_before_reset", 0) != 0;
    lower(context, node, is_behind ? RecurrentCell::gru_reset_behind : RecurrentCell::gru,
          {"Sigmoid", "Tanh"});
}

void rnn(Context& context, const OnnxNode& node) {
    const auto found = node.attributes.find("activations");
    const auto* said =
        found == node.attributes.end() ? nullptr : std::get_if<std::vector<std::string>>(&found->second);
    const bool is_relu = said != nullptr && !said->empty() && said->front() == "Relu";
    lower(context, node, is_relu ? RecurrentCell::relu : RecurrentCell::tanh, {is_relu ? "Relu" : "Tanh"});
}

}  // namespace

void add_recurrent_rules(Rules& rules) {
    rules["LSTM"] = lstm;
    rules["GRU"] = gru;
    rules["RNN"] = rnn;
}

}  // namespace jlcm::onnx_rules
