// Normalisation.
#include "core/formats/onnx_context.hpp"

namespace jlcm::onnx_rules {
namespace {

/// The features' dimension of a value is its second one; of two dimensions it is the last already.
std::vector<int> features_last(std::size_t rank) {
    return rank == 2 ? in_order(2) : image_places(rank);
}

void batch_norm(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    require(node.integer("training_mode", 0) == 0, "training_mode is not supported");
    require(node.integer("spatial", 1) != 0, "statistics of every pixel (spatial = 0) are not supported");
    std::vector<ParameterId> parameters;
    for (const std::size_t i : {1, 2, 3, 4}) {
        const OnnxTensor& tensor = context.constant(node, i);
        parameters.push_back(context.parameter(node, context.input(node, i).name,
                                               i < 3 ? "norm" : "norm.statistics", tensor.shape,
                                               tensor.floats()));
    }
    const auto places = features_last(x.rank());
    context.set(node, context.emit(node, make_batch_norm(node.number("epsilon", 1e-5)),
                                   {context.in_places(node, x, places)}, parameters, places));
}

/// A constant of `shape` as a parameter [elements].
ParameterId flat_parameter(Context& context, const OnnxNode& node, std::size_t i, std::int64_t elements) {
    const OnnxTensor& tensor = context.constant(node, i);
    require(element_count(tensor.shape) == elements, "input {} of shape {}, expected {} elements", i,
            to_string(tensor.shape), elements);
    return context.parameter(node, context.input(node, i).name, "norm", {elements}, tensor.floats());
}

void layer_norm(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const std::size_t axis = axis_of(node.integer("axis", -1), x.rank());
    require(node.outputs.size() == 1, "mean and deviation as outputs are not supported");
    const auto middle = x.shape.begin() + static_cast<std::ptrdiff_t>(axis);
    const std::int64_t features = element_count(Shape(middle, x.shape.end()));
    std::vector<ParameterId> parameters{flat_parameter(context, node, 1, features)};
    parameters.push_back(node.has_input(2)
                             ? flat_parameter(context, node, 2, features)
                             : context.parameter(node, node.name + ".bias", "norm", {features},
                                                 std::vector<float>(static_cast<std::size_t>(features), 0)));
    const auto op = make_layer_norm(node.number("epsilon", 1e-5), true);
    if (axis + 1 == x.rank()) {
        context.set(node, context.emit(node, op, {context.plain(node, x)}, parameters));
        return;
    }
    Shape joined(x.shape.begin(), middle);
    joined.push_back(features);
    const Value flat = context.emit(node, make_reshape(context.open_shape(joined)), {context.plain(node, x)});
    const Value normalised = context.emit(node, op, {flat.id}, parameters);
    context.set(node, context.emit(node, make_reshape(context.open_shape(x.shape)), {normalised.id}));
}

/// Each channel of each image by itself: rows of pixels; then a scale and a shift a channel.
void instance_norm(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    require(x.rank() >= 3, "an input of shape {}", to_string(x.shape));
    const std::int64_t pixels = element_count(Shape(x.shape.begin() + 2, x.shape.end()));
    const Value rows = context.emit(node, make_reshape(context.open_shape({x.shape[0], x.shape[1], pixels})),
                                    {context.plain(node, x)});
    const Value normalised =
        context.emit(node, make_layer_norm(node.number("epsilon", 1e-5), false), {rows.id});
    Value result = context.emit(node, make_reshape(context.open_shape(x.shape)), {normalised.id});
    for (const std::size_t i : {1, 2}) {
        OnnxTensor factor = context.constant(node, i);
        require(element_count(factor.shape) == x.shape[1],
                "input {} has shape {}, expected one number for each of {} channels", i,
                to_string(factor.shape), x.shape[1]);
        factor.shape.assign(x.rank(), 1);
        factor.shape[1] = x.shape[1];
        const ValueId stored = context.plain(node, known(context.input(node, i).name, std::move(factor)));
        result =
            context.emit(node, make_binary(i == 1 ? Binary::multiply : Binary::add), {result.id, stored});
    }
    context.set(node, std::move(result));
}

/// x / (bias + alpha mean of squares over the channels around)^beta. Krizhevsky et al., 2012, section 3.3.
void local_response_norm(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const std::int64_t size = node.integer("size", 0);
    require(size > 0 && size < size_limit && x.rank() >= 3, "a size of {} over shape {}", size,
            to_string(x.shape));
    const auto places = image_places(x.rank());
    const ValueId image = context.channels_last(node, x);
    const std::int64_t channels = x.shape[1];
    const Value square = context.emit(node, make_unary({Unary::power, 2, 0}), {image});
    // Channels as the pixels of a line.
    const Value line =
        context.emit(node, make_reshape(context.open_shape({element_count(x.shape) / channels, channels, 1})),
                     {square.id});
    const WindowAttributes windows{{size}, {1}, {1}, {(size - 1) / 2}, {size - 1 - (size - 1) / 2}, false};
    const Value mean = context.emit(node, make_pooling({windows, Pooling::average_with_padding}), {line.id});
    const Value base = context.emit(
        node, make_unary({Unary::affine, node.number("alpha", 1e-4F), node.number("bias", 1)}), {mean.id});
    const Value factor =
        context.emit(node, make_unary({Unary::power, -node.number("beta", 0.75), 0}), {base.id});
    const Value shaped = context.emit(node, make_reshape(context.open_shape(square.shape)), {factor.id});
    context.set(node, context.emit(node, make_binary(Binary::multiply), {image, shaped.id}, {}, places));
}

template <bool logarithm>
void softmax(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const bool joins = context.opset() < 13;
    const std::size_t axis = axis_of(node.integer("axis", joins ? 1 : -1), x.rank());
    const OperatorPtr op = logarithm ? make_log_softmax() : make_softmax();
    Value result;
    if (joins && axis + 1 != x.rank()) {
        // Up to opset 12, over all dimensions from the axis on.
        const auto middle = x.shape.begin() + static_cast<std::ptrdiff_t>(axis);
        const Shape joined{element_count(Shape(x.shape.begin(), middle)),
                           element_count(Shape(middle, x.shape.end()))};
        const Value flat =
            context.emit(node, make_reshape(context.open_shape(joined)), {context.plain(node, x)});
        const Value shares = context.emit(node, op, {flat.id});
        result = context.emit(node, make_reshape(context.open_shape(x.shape)), {shares.id});
    } else {
        std::vector<int> places(x.rank());
        int next = 0;
        for (std::size_t d = 0; d < x.rank(); ++d)
            if (d != axis) places[d] = next++;
        places[axis] = next;
        result = context.emit(node, op, {context.in_places(node, x, places)}, {}, places);
    }
    context.set(node, std::move(result));
}

}  // namespace

void add_normalisation_rules(Rules& rules) {
    rules["BatchNormalization"] = batch_norm;
    rules["LayerNormalization"] = layer_norm;
    rules["InstanceNormalization"] = instance_norm;
    rules["LRN"] = local_response_norm;
    rules["Softmax"] = softmax<false>;
    rules["LogSoftmax"] = softmax<true>;
}

}  // namespace jlcm::onnx_rules
