// Quantised files in the QDQ format: weights are dequantised here, activations run as the file says.
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
}

}  // namespace jlcm::onnx_rules
