// Quantised files, in the QDQ format or with dynamic levels: weights are dequantised here, activations run as the
// file says.
#include "core/formats/onnx_context.hpp"

namespace jlcm::onnx_rules {
namespace {

/// A scale or zero point in the shape that broadcasts to x: one number, one along `axis`, or one for each
/// `block` elements of it.
OnnxTensor spread(const OnnxTensor& tensor, const Shape& shape, std::int64_t axis, std::int64_t block) {
    if (element_count(tensor.shape) == 1 && tensor.shape.size() <= 1)
        return {Shape(shape.size(), 1), tensor.values};
    const std::size_t d = axis_of(axis, shape.size());
    if (tensor.shape.size() == 1) {
        require(tensor.shape[0] == shape[d], "{} scales or zero points along dimension {} of shape {}",
                tensor.shape[0], d, to_string(shape));
        Shape line(shape.size(), 1);
        line[d] = shape[d];
        return {line, tensor.values};
    }
    require(block > 0 && tensor.shape.size() == shape.size(), "scales of shape {} for shape {}",
            to_string(tensor.shape), to_string(shape));
    for (std::size_t other = 0; other < shape.size(); ++other)
        require(tensor.shape[other] == (other == d ? (shape[d] + block - 1) / block : shape[other]),
                "scales of shape {} in blocks of {} for shape {}", to_string(tensor.shape), block,
                to_string(shape));
    OnnxTensor result{shape, {}};
    const std::int64_t inner =
        element_count(Shape(shape.begin() + static_cast<std::ptrdiff_t>(d) + 1, shape.end()));
    std::visit(
        [&](const auto& values) {
            std::decay_t<decltype(values)> all;
            const std::int64_t count = element_count(shape);
            all.reserve(static_cast<std::size_t>(count));
            for (std::int64_t i = 0; i < count; ++i) {
                const std::int64_t outer = i / (inner * shape[d]);
                const std::int64_t place = i / inner % shape[d] / block;
                all.push_back(values.at(
                    static_cast<std::size_t>((outer * tensor.shape[d] + place) * inner + i % inner)));
            }
            result.values = std::move(all);
        },
        tensor.values);
    return result;
}

/// Scale and zero point of a node, in shapes that broadcast to its input.
std::pair<Value, Value> levels_of(Context& context, const OnnxNode& node, const Shape& shape) {
    const std::int64_t axis = node.integer("axis", 1);
    const std::int64_t block = node.integer("block_size", 0);
    const OnnxTensor scale = spread(context.constant(node, 1), shape, axis, block);
    OnnxTensor zero{Shape(shape.size(), 1), std::vector<float>{0.0F}};
    if (node.has_input(2)) zero = spread(context.constant(node, 2), shape, axis, block);
    return {known(context.input(node, 1).name, scale),
            known(node.has_input(2) ? context.input(node, 2).name : node.name + ".zero", zero)};
}

/// Zero points are of the type of the levels; a file's says which one only by what it holds.
QuantizeAttributes range_of(const OnnxNode& node, const Value& zero) {
    constexpr std::int64_t uint8 = 2;
    std::int64_t type = node.integer("output_dtype", 0);
    if (type == 0 && zero.constant) type = zero.constant->type;
    if (type == 0) type = uint8;
    switch (type) {
        case uint8:
            return {0, 255};
        case 3:
            return {-128, 127};
        case 4:
            return {0, 65535};
        case 5:
            return {-32768, 32767};
        case 21:
            return {0, 15};
        case 22:
            return {-8, 7};
        default:
            fail("levels of type {}", type);
    }
}

void quantize(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    auto [scale, zero] = levels_of(context, node, x.shape);
    QuantizeAttributes range = range_of(node, node.has_input(2) ? context.input(node, 2) : Value());
    const ValueId s = context.in_places(node, scale, x.places);
    const ValueId z = context.in_places(node, zero, x.places);
    context.set(node, context.emit(node, make_quantize(range), {x.id, s, z}, {}, x.places));
}

void dequantize(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
    const auto [scale, zero] = levels_of(context, node, x.shape);
    const Value shifted = combine(context, node, Binary::subtract, x, zero);
    context.set(node, combine(context, node, Binary::multiply, shifted, scale));
}

/// The levels, scale and zero point of x, from its own range and 0. Each sample has its own: what a batch of one
/// computes.
void quantize_dynamically(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const bool has_samples = x.rank() > 0 && context.is_batch(x.shape[0]);
    for (std::size_t d = has_samples ? 1 : 0; d < x.rank(); ++d)
        require(
            !context.holds_batch(x.shape[d]) || context.is_batch(1),
            "levels are found for each sample, but samples are dimension {} of shape {}; take the float model",
            d, to_string(x.shape));
    const std::int64_t samples = has_samples ? x.shape[0] : 1;
    const std::int64_t size = element_count(x.shape) / samples;
    Shape shape(x.rank(), 1);
    if (has_samples) shape[0] = samples;
    const Value rows =
        context.emit(node, make_reshape(context.open_shape({samples, size, 1})), {context.plain(node, x)});
    /// How far the values go beyond 0, upwards or downwards.
    const auto reach = [&](bool down) {
        const Value side = down ? context.emit(node, make_unary({Unary::affine, -1, 0}), {rows.id}) : rows;
        const Value most = context.emit(
            node, make_pooling({{{size}, {1}, {1}, {0}, {0}, false}, Pooling::maximum}), {side.id});
        return context.emit(node, make_reshape(context.open_shape(shape)),
                            {context.emit(node, make_unary({Unary::relu, 0, 0}), {most.id}).id});
    };
    const Value down = reach(true);
    const Value range = combine(context, node, Binary::add, reach(false), down);
    Value scale = combine(context, node, Binary::divide, range,
                          known("", {Shape(x.rank(), 1), std::vector<float>{255.0F}}));
    // A scale of 1 serves zeros alone.
    scale = combine(context, node, Binary::add, scale,
                    context.emit(node, make_pointwise(Pointwise::is_zero), {range.id}));
    const Value none = known(node.name + ".zero", {Shape(x.rank(), 1), std::vector<float>{0.0F}});
    const ValueId start = context.in_places(node, none, in_order(x.rank()));
    const QuantizeAttributes levels{0, 255};
    const Value zero = context.emit(node, make_quantize(levels), {down.id, scale.id, start});
    context.set(node, 0,
                context.emit(node, make_quantize(levels), {context.plain(node, x), scale.id, zero.id}));
    context.set(node, 1, scale);
    context.set(node, 2, zero);
}

/// Levels that are data, less their zero point.
Value centred_data(Context& context, const OnnxNode& node, std::size_t i, std::size_t zero) {
    Value levels = context.any_data(node, i);
    if (!node.has_input(zero)) return levels;
    const Value& point = context.input(node, zero);
    require(!point.constant || element_count(point.shape) == 1, "{} zero points of data",
            element_count(point.shape));
    return combine(context, node, Binary::subtract, levels, point);
}

/// Levels that are known, less their zero point, which may be one for each of `axis`: weights up to the scale
/// by which the file multiplies what comes of them.
Value centred_weight(Context& context, const OnnxNode& node, std::size_t i, std::size_t zero,
                     std::int64_t axis) {
    const OnnxTensor& levels = context.constant(node, i);
    OnnxTensor point{{}, std::vector<std::int64_t>{0}};
    if (node.has_input(zero)) point = context.constant(node, zero);
    const std::vector<std::int64_t> zeros =
        expanded(spread(point, levels.shape, axis, 0), levels.shape).integers();
    std::vector<float> values(zeros.size());
    for (std::size_t e = 0; e < values.size(); ++e)
        values[e] = static_cast<float>(levels.integers()[e] - zeros[e]);
    const std::string& name = context.input(node, i).name;
    Value centred = known(name + ".centred", {levels.shape, std::move(values)});
    context.add_levels(centred, name);
    return centred;
}

/// Products of levels are sums of whole numbers, in float32 here: what lies beyond 2^24 is rounded.
void multiply_levels(Context& context, const OnnxNode& node) {
    const auto factor = [&](std::size_t i) {
        return context.input(node, i).constant ? centred_weight(context, node, i, i + 2, i == 0 ? -2 : -1)
                                               : centred_data(context, node, i, i + 2);
    };
    const Value a = factor(0);
    const Value b = factor(1);
    multiply_matrices(context, node, a, b);
}

void convolve_levels(Context& context, const OnnxNode& node) {
    const Value x = centred_data(context, node, 0, 2);
    convolve(context, node, x, centred_weight(context, node, 1, 3, 0), nullptr);
}

/// Input i of levels with scale and zero point behind it, as numbers; what is known stays known.
Value dequantized_input(Context& context, const OnnxNode& node, std::size_t i, std::int64_t axis) {
    const OnnxNode scales{.name = node.name,
                          .type = "DequantizeLinear",
                          .inputs = {node.inputs.at(i), node.inputs.at(i + 1), node.inputs.at(i + 2)},
                          .outputs = {},
                          .attributes = {{"axis", axis}}};
    const Value& levels = context.input(scales, 0);
    if (levels.constant) {
        Value numbers = known(
            levels.name + ".dequantized",
            dequantized(scales, *levels.constant, context.constant(scales, 1), &context.constant(scales, 2)));
        context.add_levels(numbers, levels.name);
        return numbers;
    }
    const Value x = context.any_data(scales, 0);
    const auto [scale, zero] = levels_of(context, scales, x.shape);
    return combine(context, node, Binary::multiply, combine(context, node, Binary::subtract, x, zero), scale);
}

/// The levels of a node's output, whose scale and zero point are its inputs from `i` on.
void quantize_output(Context& context, const OnnxNode& node, const Value& numbers, std::size_t i) {
    const OnnxNode levels{.name = node.name,
                          .type = "QuantizeLinear",
                          .inputs = {node.outputs.front(), node.inputs.at(i), node.inputs.at(i + 1)},
                          .outputs = node.outputs,
                          .attributes = {}};
    context.set(node, numbers);
    quantize(context, levels);
}

/// Products of levels that become levels again: those of the numbers that they stand for.
void multiply_and_quantize(Context& context, const OnnxNode& node) {
    require(node.inputs.size() == 8, "it has {} inputs", node.inputs.size());
    const Value a = dequantized_input(context, node, 0, -2);
    const Value b = dequantized_input(context, node, 3, -1);
    multiply_matrices(context, node, a, b);
    quantize_output(context, node, *context.find(node.outputs.front()), 6);
}

void convolve_and_quantize(Context& context, const OnnxNode& node) {
    require(node.inputs.size() == 8 || node.inputs.size() == 9, "it has {} inputs", node.inputs.size());
    const Value x = dequantized_input(context, node, 0, 1);
    const Value weight = dequantized_input(context, node, 3, 0);
    require(weight.constant != nullptr, "its weight is not known");
    std::optional<Value> bias;
    if (node.has_input(8)) {
        // In units of the products of levels.
        const std::vector<std::int64_t>& units = context.constant(node, 8).integers();
        const std::vector<float>& scales = context.constant(node, 4).floats();
        require(scales.size() == 1 || scales.size() == units.size(), "{} scales for {} outputs",
                scales.size(), units.size());
        std::vector<float> numbers;
        for (std::size_t c = 0; c < units.size(); ++c)
            numbers.push_back(static_cast<float>(static_cast<double>(units[c]) * context.number(node, 1) *
                                                 static_cast<double>(scales[scales.size() == 1 ? 0 : c])));
        bias = known(context.input(node, 8).name + ".dequantized", {{std::ssize(units)}, std::move(numbers)});
    }
    convolve(context, node, x, weight, bias ? &*bias : nullptr);
    quantize_output(context, node, *context.find(node.outputs.front()), 6);
}

}  // namespace

OnnxTensor dequantized(const OnnxNode& node, const OnnxTensor& levels, const OnnxTensor& scale,
                       const OnnxTensor* zero) {
    const std::int64_t axis = node.integer("axis", 1);
    const std::int64_t block = node.integer("block_size", 0);
    const std::vector<float> factors =
        expanded(spread(scale, levels.shape, axis, block), levels.shape).floats();
    const std::vector<float> numbers = levels.is_float() ? levels.floats() : std::vector<float>();
    std::vector<std::int64_t> zeros;
    if (zero != nullptr)
        zeros = expanded(spread(*zero, levels.shape, axis, block), levels.shape).integers();
    else
        zeros.assign(factors.size(), 0);
    OnnxTensor result{levels.shape, {}};
    std::vector<float> values(factors.size());
    // As ONNX says it: a difference of integers, then one product in float32.
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = factors[i] * (levels.is_float() ? numbers[i] - static_cast<float>(zeros[i])
                                                    : static_cast<float>(levels.integers()[i] - zeros[i]));
    result.values = std::move(values);
    return result;
}

void add_quantization_rules(Rules& rules) {
    rules["QuantizeLinear"] = quantize;
    rules["DequantizeLinear"] = dequantize;
    rules["DynamicQuantizeLinear"] = quantize_dynamically;
    rules["MatMulInteger"] = multiply_levels;
    rules["ConvInteger"] = convolve_levels;
    rules["QLinearMatMul"] = multiply_and_quantize;
    rules["QLinearConv"] = convolve_and_quantize;
}

}  // namespace jlcm::onnx_rules
