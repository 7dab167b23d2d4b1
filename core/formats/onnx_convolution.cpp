// Convolutions and pooling.
#include "core/formats/onnx_context.hpp"

#include <algorithm>

namespace jlcm::onnx_rules {

WindowAttributes windows_of(const OnnxNode& node, const Shape& shape, const Integers& kernel) {
    const std::size_t spatial = kernel.size();
    require(shape.size() == spatial + 2, "a kernel of {} dimensions over a value of shape {}", spatial,
            to_string(shape));
    WindowAttributes windows;
    windows.kernel = kernel;
    windows.stride = bounded(node.integers("strides", Integers(spatial, 1)));
    windows.dilation = bounded(node.integers("dilations", Integers(spatial, 1)));
    const Integers pads = bounded(node.integers("pads", Integers(2 * spatial, 0)));
    require(
        windows.stride.size() == spatial && windows.dilation.size() == spatial && pads.size() == 2 * spatial,
        "strides, dilations or pads do not have the kernel's {} dimensions", spatial);
    const std::string automatic = node.text("auto_pad", "NOTSET");
    require(automatic == "NOTSET" || automatic == "VALID" || automatic == "SAME_UPPER" ||
                automatic == "SAME_LOWER",
            "auto_pad '{}'", automatic);
    for (std::size_t d = 0; d < spatial; ++d) {
        require(windows.stride[d] > 0 && windows.dilation[d] > 0 && kernel[d] > 0,
                "a kernel of {} with stride {} and dilation {}", kernel[d], windows.stride[d],
                windows.dilation[d]);
        std::int64_t begin = automatic == "NOTSET" ? pads[d] : 0;
        std::int64_t end = automatic == "NOTSET" ? pads[spatial + d] : 0;
        if (automatic.starts_with("SAME")) {
            const std::int64_t size = shape[2 + d];
            const std::int64_t count = (size + windows.stride[d] - 1) / windows.stride[d];
            const std::int64_t extent = (kernel[d] - 1) * windows.dilation[d] + 1;
            const std::int64_t missing =
                std::max<std::int64_t>(0, (count - 1) * windows.stride[d] + extent - size);
            begin = automatic == "SAME_LOWER" ? missing - missing / 2 : missing / 2;
            end = missing - begin;
        }
        windows.pad_begin.push_back(begin);
        windows.pad_end.push_back(end);
    }
    return windows;
}

std::string convolution_role(std::int64_t groups, std::int64_t channels) {
    if (groups == 1) return "conv";
    return groups == channels ? "conv.depthwise" : "conv.grouped";
}

namespace {

void convolution(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    for (std::size_t i = 1; i < 3; ++i)
        if (i == 1 || node.has_input(i))
            static_cast<void>(context.constant(node, i));  // they have to be known
    convolve(context, node, x, context.input(node, 1), node.has_input(2) ? &context.input(node, 2) : nullptr);
}

void transposed_convolution(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const OnnxTensor& weight = context.constant(node, 1);
    require(weight.shape.size() == x.rank() && x.rank() >= 3 && x.rank() <= 5,
            "a weight of shape {} and an input of shape {}", to_string(weight.shape), to_string(x.shape));
    const std::size_t spatial = x.rank() - 2;
    const Integers kernel(weight.shape.begin() + 2, weight.shape.end());
    TransposedConvolutionAttributes attributes;
    attributes.groups = node.integer("group", 1);
    attributes.bias = node.has_input(2);
    attributes.windows.kernel = kernel;
    const Integers strides = attributes.windows.stride =
        bounded(node.integers("strides", Integers(spatial, 1)));
    const Integers dilations = attributes.windows.dilation =
        bounded(node.integers("dilations", Integers(spatial, 1)));
    const Integers pads = bounded(node.integers("pads", Integers(2 * spatial, 0)));
    const Integers more = bounded(node.integers("output_padding", Integers(spatial, 0)));
    const Integers sizes = bounded(node.integers("output_shape"));
    const std::string automatic = node.text("auto_pad", "NOTSET");
    require(strides.size() == spatial && dilations.size() == spatial && pads.size() == 2 * spatial &&
                more.size() == spatial && (sizes.empty() || sizes.size() >= spatial),
            "strides, dilations, pads or output_shape do not have the kernel's {} dimensions", spatial);
    require(attributes.groups >= 1 && weight.shape[0] % attributes.groups == 0, "{} groups of {} channels",
            attributes.groups, weight.shape[0]);
    for (std::size_t d = 0; d < spatial; ++d) {
        const std::int64_t extent = (kernel[d] - 1) * dilations[d] + 1;
        const std::int64_t full = strides[d] * (x.shape[2 + d] - 1) + more[d] + extent;
        std::int64_t begin = automatic == "NOTSET" ? pads[d] : 0;
        std::int64_t end = automatic == "NOTSET" ? pads[spatial + d] : 0;
        const bool is_same = automatic.starts_with("SAME");
        if (!sizes.empty() || is_same) {
            const std::int64_t size =
                sizes.empty() ? x.shape[2 + d] * strides[d] : sizes[sizes.size() - spatial + d];
            const std::int64_t total = full - size;
            begin = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
            end = total - begin;
        }
        const std::int64_t size = full - begin - end;
        require(begin >= 0 && size > 0, "an output of size {} with padding {}", size, begin);
        attributes.size.push_back(size);
        attributes.windows.pad_begin.push_back(begin);
        // As many windows over the output as the input has pixels.
        const std::int64_t needed = strides[d] * (x.shape[2 + d] - 1) + extent;
        attributes.windows.pad_end.push_back(std::max<std::int64_t>(needed - size - begin, 0));
    }
    // [groups, channels, outputs, taps] to [groups, outputs, taps, channels]
    const std::int64_t group_outputs = weight.shape[1];
    const std::int64_t channels = weight.shape[0] / attributes.groups;
    const std::int64_t columns = element_count(weight.shape) / std::max<std::int64_t>(weight.shape[0], 1);
    if (spatial == 3) return transpose_convolve_volume(context, node, x, attributes);
    const OnnxTensor rows = moved({{attributes.groups, channels, columns}, weight.values}, {0, 2, 1});
    const std::string role = attributes.groups == 1 ? "conv.transposed" : "conv.transposed.grouped";
    std::vector<ParameterId> parameters{
        context.parameter(node, context.input(node, 1).name, role, {attributes.groups * columns, channels},
                          rows.floats(), true, {{attributes.groups, channels, columns}, {0, 2, 1}, 1})};
    if (attributes.bias)
        parameters.push_back(context.parameter(node, context.input(node, 2).name, "bias",
                                               {attributes.groups * group_outputs},
                                               context.constant(node, 2).floats()));
    context.set(node, context.emit(node, make_transposed_convolution(attributes),
                                   {context.channels_last(node, x)}, parameters, image_places(x.rank())));
}

void pool(Context& context, const OnnxNode& node, Pooling pooling) {
    const Value x = context.data(node, 0);
    require(x.rank() >= 3, "an input of shape {}", to_string(x.shape));
    require(node.outputs.size() == 1 || node.outputs[1].empty(), "indices are not supported");
    PoolingAttributes attributes{windows_of(node, x.shape, bounded(node.integers("kernel_shape"))), pooling};
    attributes.windows.ceil_mode = node.integer("ceil_mode", 0) != 0;
    if (x.rank() == 5) return pool_volume(context, node, x, attributes);
    context.set(node, context.emit(node, make_pooling(attributes), {context.channels_last(node, x)}, {},
                                   image_places(x.rank())));
}

void average_pool(Context& context, const OnnxNode& node) {
    pool(context, node,
         node.integer("count_include_pad", 0) != 0 ? Pooling::average_with_padding : Pooling::average);
}

void maximum_pool(Context& context, const OnnxNode& node) {
    pool(context, node, Pooling::maximum);
}

void global_average_pool(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    ReduceAttributes attributes{Reduction::mean, {}, true};
    for (std::size_t d = 2; d < x.rank(); ++d) attributes.dimensions.push_back(static_cast<int>(d) - 1);
    context.set(node, context.emit(node, make_reduce(attributes), {context.channels_last(node, x)}, {},
                                   image_places(x.rank())));
}

/// One window over the whole image.
void global_maximum_pool(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    require(x.rank() >= 3, "an input of shape {}", to_string(x.shape));
    const std::size_t spatial = x.rank() - 2;
    const Integers none(spatial, 0);
    const Integers one(spatial, 1);
    const WindowAttributes windows{Integers(x.shape.begin() + 2, x.shape.end()), one, one, none, none, false};
    if (spatial == 3) return pool_volume(context, node, x, {windows, Pooling::maximum});
    context.set(node, context.emit(node, make_pooling({windows, Pooling::maximum}),
                                   {context.channels_last(node, x)}, {}, image_places(x.rank())));
}

/// The largest (or smallest) along some dimensions: one window over them, all else being images.
template <bool smallest>
void reduce_maximum(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const auto given = context.integers(node, "axes", 1).value_or(Integers());
    if (given.empty() && node.integer("noop_with_empty_axes", 0) != 0) return context.set(node, x);
    std::vector<bool> is_reduced(x.rank(), given.empty());
    for (const std::int64_t axis : given) is_reduced[axis_of(axis, x.rank())] = true;
    Shape shape;
    std::int64_t size = 1;
    std::vector<int> places(x.rank());
    int next = 0;
    for (const bool reduced : {false, true})
        for (std::size_t d = 0; d < x.rank(); ++d)
            if (is_reduced[d] == reduced) places[d] = next++;
    std::int64_t images = 1;
    for (std::size_t d = 0; d < x.rank(); ++d) {
        (is_reduced[d] ? size : images) *= x.shape[d];
        if (!is_reduced[d] || node.integer("keepdims", 1) != 0)
            shape.push_back(is_reduced[d] ? 1 : x.shape[d]);
    }
    const UnaryFunction negative{Unary::affine, -1, 0};
    Value flat = context.emit(node, make_reshape(context.open_shape({images, size, 1})),
                              {context.in_places(node, x, places)});
    if (smallest) flat = context.emit(node, make_unary(negative), {flat.id});
    flat =
        context.emit(node, make_pooling({{{size}, {1}, {1}, {0}, {0}, false}, Pooling::maximum}), {flat.id});
    if (smallest) flat = context.emit(node, make_unary(negative), {flat.id});
    context.set(node, context.emit(node, make_reshape(context.open_shape(shape)), {flat.id}));
}

}  // namespace

void convolve(Context& context, const OnnxNode& node, const Value& x, const Value& factor,
              const Value* bias) {
    if (x.rank() == 5) return convolve_volume(context, node, x, factor, bias);
    const OnnxTensor& weight = *factor.constant;
    require(weight.shape.size() == x.rank() && x.rank() >= 3, "a weight of shape {} and an input of shape {}",
            to_string(weight.shape), to_string(x.shape));
    const Integers kernel(weight.shape.begin() + 2, weight.shape.end());
    require(node.integers("kernel_shape", kernel) == kernel, "the kernel_shape is not that of the weight {}",
            to_string(weight.shape));
    ConvolutionAttributes attributes;
    attributes.windows = windows_of(node, x.shape, kernel);
    attributes.groups = node.integer("group", 1);
    attributes.bias = bias != nullptr;
    const std::int64_t outputs = weight.shape[0];
    const std::int64_t columns = outputs == 0 ? 0 : element_count(weight.shape) / outputs;
    std::vector<ParameterId> parameters{context.parameter(node, factor.name,
                                                          convolution_role(attributes.groups, x.shape[1]),
                                                          {outputs, columns}, weight.floats(), true)};
    if (attributes.bias)
        parameters.push_back(
            context.parameter(node, bias->name, "bias", {outputs}, bias->constant->floats()));
    context.set(node, context.emit(node, make_convolution(attributes), {context.channels_last(node, x)},
                                   parameters, image_places(x.rank())));
}

void add_convolution_rules(Rules& rules) {
    rules["Conv"] = convolution;
    rules["ConvTranspose"] = transposed_convolution;
    rules["MaxPool"] = maximum_pool;
    rules["AveragePool"] = average_pool;
    rules["GlobalAveragePool"] = global_average_pool;
    rules["GlobalMaxPool"] = global_maximum_pool;
    rules["ReduceMax"] = reduce_maximum<false>;
    rules["ReduceMin"] = reduce_maximum<true>;
}

}  // namespace jlcm::onnx_rules
