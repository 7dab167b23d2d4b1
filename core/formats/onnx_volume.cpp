// Volumes: convolutions and pooling over three spatial dimensions, as those over two of every slice. Slices along the depth
// that a window covers are channels of one image, so that its weight is one matrix.
#include "core/formats/onnx_context.hpp"

#include <algorithm>

namespace jlcm::onnx_rules {
namespace {

/// Where the dimensions of an ONNX volume lie in [images, depth, height, width, channels].
std::vector<int> volume_places() {
    return image_places(5);
}

/// Windows over height and width; those over the depth.
WindowAttributes within_slices(const WindowAttributes& windows) {
    const auto rest = [](const Integers& all) { return Integers(all.begin() + 1, all.end()); };
    return {rest(windows.kernel),    rest(windows.stride),  rest(windows.dilation),
            rest(windows.pad_begin), rest(windows.pad_end), windows.ceil_mode};
}
WindowAttributes along_depth(const WindowAttributes& windows) {
    return {{windows.kernel[0]},    {windows.stride[0]},  {windows.dilation[0]},
            {windows.pad_begin[0]}, {windows.pad_end[0]}, windows.ceil_mode};
}

/// Elements put before and behind dimension `d`; negative numbers cut.
ValueId widened(Context& context, const OnnxNode& node, ValueId x, std::size_t rank, std::size_t d,
                std::int64_t before, std::int64_t behind, std::int64_t size) {
    const auto dimension = static_cast<int>(d);
    if (before < 0 || behind < 0) {
        const std::int64_t begin = std::max<std::int64_t>(-before, 0);
        const std::int64_t end = std::max<std::int64_t>(-behind, 0);
        x = context.emit(node, make_slice({dimension, begin, size - begin - end, 1}), {x}).id;
    }
    if (before <= 0 && behind <= 0) return x;
    PadAttributes pads{Integers(rank, 0), Integers(rank, 0), PadMode::constant, 0};
    pads.before[d] = std::max<std::int64_t>(before, 0);
    pads.behind[d] = std::max<std::int64_t>(behind, 0);
    return context.emit(node, make_pad(pads), {x}).id;
}

ValueId reshaped(Context& context, const OnnxNode& node, ValueId x, const Shape& shape) {
    return context.emit(node, make_reshape(shape), {x}).id;
}

/// Slices as images whose channels are those of all slices under a window, [channel][depth tap].
ValueId slices_under_windows(Context& context, const OnnxNode& node, const Value& x,
                             const WindowAttributes& windows, std::int64_t count) {
    const std::int64_t channels = x.shape[1];
    const std::int64_t height = x.shape[3];
    const std::int64_t width = x.shape[4];
    const ValueId volume = widened(context, node, context.in_places(node, x, volume_places()), 5, 1,
                                   windows.pad_begin[0], windows.pad_end[0], x.shape[2]);
    std::vector<ValueId> taps;
    for (std::int64_t tap = 0; tap < windows.kernel[0]; ++tap) {
        const SliceAttributes slices{1, tap * windows.dilation[0], count, windows.stride[0]};
        const ValueId under = context.emit(node, make_slice(slices), {volume}).id;
        taps.push_back(reshaped(context, node, under, {-1, height, width, channels, 1}));
    }
    const ValueId all = taps.size() == 1 ? taps.front() : context.emit(node, make_concat(4), taps).id;
    return reshaped(context, node, all, {-1, height, width, channels * windows.kernel[0]});
}

}  // namespace

void convolve_volume(Context& context, const OnnxNode& node, const Value& x, const Value& factor,
                     const Value* bias) {
    const OnnxTensor& weight = *factor.constant;
    require(weight.shape.size() == 5, "a weight of shape {} and an input of shape {}",
            to_string(weight.shape), to_string(x.shape));
    const WindowAttributes windows =
        windows_of(node, x.shape, Integers(weight.shape.begin() + 2, weight.shape.end()));
    const std::int64_t reach = (windows.kernel[0] - 1) * windows.dilation[0] + 1;
    const std::int64_t depth = x.shape[2] + windows.pad_begin[0] + windows.pad_end[0];
    require(depth >= reach, "windows of {} over a depth of {}", reach, depth);
    const std::int64_t count = (depth - reach) / windows.stride[0] + 1;
    const ValueId images = slices_under_windows(context, node, x, windows, count);
    const std::int64_t groups = node.integer("group", 1);
    const std::int64_t outputs = weight.shape[0];
    require(outputs > 0 && weight.shape[1] * groups == x.shape[1],
            "{} groups of {} channels, and {} of the input", groups, weight.shape[1], x.shape[1]);
    std::vector<ParameterId> parameters{
        context.parameter(node, factor.name, convolution_role(groups, x.shape[1]),
                          {outputs, element_count(weight.shape) / outputs}, weight.floats(), true)};
    if (bias != nullptr)
        parameters.push_back(
            context.parameter(node, bias->name, "bias", {outputs}, bias->constant->floats()));
    const Value y = context.emit(node, make_convolution({within_slices(windows), groups, bias != nullptr}),
                                 {images}, parameters);
    const Shape volumes{-1, count, y.shape[1], y.shape[2], outputs};
    context.set(node, context.emit(node, make_reshape(volumes), {y.id}, {}, volume_places()));
}

void pool_volume(Context& context, const OnnxNode& node, const Value& x,
                 const PoolingAttributes& attributes) {
    const std::int64_t channels = x.shape[1];
    const ValueId volume = context.in_places(node, x, volume_places());
    const ValueId images = reshaped(context, node, volume, {-1, x.shape[3], x.shape[4], channels});
    const Value within =
        context.emit(node, make_pooling({within_slices(attributes.windows), attributes.pooling}), {images});
    const std::int64_t pixels = within.shape[1] * within.shape[2] * channels;
    const ValueId lines = reshaped(context, node, within.id, {-1, x.shape[2], pixels});
    const Value along =
        context.emit(node, make_pooling({along_depth(attributes.windows), attributes.pooling}), {lines});
    const Shape volumes{-1, along.shape[1], within.shape[1], within.shape[2], channels};
    context.set(node, context.emit(node, make_reshape(volumes), {along.id}, {}, volume_places()));
}

void transpose_convolve_volume(Context& context, const OnnxNode& node, const Value& x,
                               const TransposedConvolutionAttributes& attributes) {
    const OnnxTensor& weight = context.constant(node, 1);
    const WindowAttributes& windows = attributes.windows;
    const std::int64_t taps = windows.kernel[0];
    const std::int64_t channels = x.shape[1] / attributes.groups;
    const std::int64_t outputs = weight.shape[1] * attributes.groups;
    const std::int64_t columns = element_count(weight.shape) / weight.shape[0];
    // Each depth tap makes outputs of its own, [output][depth tap].
    TransposedConvolutionAttributes flat = attributes;
    flat.bias = false;
    flat.windows = within_slices(windows);
    flat.size = {attributes.size[1], attributes.size[2]};
    const OnnxArrangement arrangement{{attributes.groups, channels, columns}, {0, 2, 1}, 1};
    const OnnxTensor rows = moved({arrangement.shape, weight.values}, arrangement.places);
    const std::string role = attributes.groups == 1 ? "conv.transposed" : "conv.transposed.grouped";
    const ParameterId parameter =
        context.parameter(node, context.input(node, 1).name, role, {attributes.groups * columns, channels},
                          rows.floats(), true, arrangement);
    const ValueId images = reshaped(context, node, context.in_places(node, x, volume_places()),
                                    {-1, x.shape[3], x.shape[4], x.shape[1]});
    const ValueId made = context.emit(node, make_transposed_convolution(flat), {images}, {parameter}).id;
    const std::int64_t pixels = flat.size[0] * flat.size[1];
    const ValueId apart = reshaped(context, node, made, {-1, x.shape[2], pixels * outputs, taps});
    // Slices lie a stride apart, and taps a dilation.
    const std::int64_t stride = windows.stride[0];
    const std::int64_t spread = x.shape[2] * stride;
    const std::int64_t full = (x.shape[2] - 1) * stride + (taps - 1) * windows.dilation[0] + 1;
    ValueId sum = -1;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
        ValueId part = context.emit(node, make_slice({3, tap, 1, 1}), {apart}).id;
        part = reshaped(context, node, part, {-1, x.shape[2], 1, pixels * outputs});
        part = widened(context, node, part, 4, 2, 0, stride - 1, 1);
        part = reshaped(context, node, part, {-1, spread, pixels * outputs});
        const std::int64_t before = tap * windows.dilation[0];
        part = widened(context, node, part, 3, 1, before, full - before - spread, spread);
        sum = sum < 0 ? part : context.emit(node, make_binary(Binary::add), {sum, part}).id;
    }
    const std::int64_t depth = attributes.size[0];
    sum = widened(context, node, sum, 3, 1, -windows.pad_begin[0], depth + windows.pad_begin[0] - full, full);
    const Shape volumes{-1, depth, flat.size[0], flat.size[1], outputs};
    Value y = context.emit(node, make_reshape(volumes), {sum}, {}, volume_places());
    if (attributes.bias) {
        const OnnxTensor& bias = context.constant(node, 2);
        require(element_count(bias.shape) == outputs, "a bias of shape {} for {} outputs",
                to_string(bias.shape), outputs);
        y = combine(context, node, Binary::add, y,
                    known(context.input(node, 2).name, {{outputs, 1, 1, 1}, bias.floats()}));
    }
    context.set(node, std::move(y));
}

}  // namespace jlcm::onnx_rules
