// Convolutions and pooling.
#include "core/formats/onnx_context.hpp"

#include <algorithm>

namespace jlcm::onnx_rules {
namespace {

/// Attributes of windows of `kernel` over the spatial dimensions of `shape` ([images, channels, spatial..]).
WindowAttributes windows_of(const OnnxNode& node, const Shape& shape, const Integers& kernel) {
    const std::size_t spatial = kernel.size();
    require(shape.size() == spatial + 2, "a kernel of {} dimensions over a value of shape {}", spatial,
            to_string(shape));
    WindowAttributes windows;
    windows.kernel = kernel;
    windows.stride = node.integers("strides", Integers(spatial, 1));
    windows.dilation = node.integers("dilations", Integers(spatial, 1));
    const Integers pads = node.integers("pads", Integers(2 * spatial, 0));
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

void convolution(Context& context, const OnnxNode& node) {
    const Value& x = context.input(node, 0);
    const OnnxTensor& weight = context.constant(node, 1);
    require(weight.shape.size() == x.rank() && x.rank() >= 3, "a weight of shape {} and an input of shape {}",
            to_string(weight.shape), to_string(x.shape));
    const Integers kernel(weight.shape.begin() + 2, weight.shape.end());
    require(node.integers("kernel_shape", kernel) == kernel, "the kernel_shape is not that of the weight {}",
            to_string(weight.shape));
    ConvolutionAttributes attributes;
    attributes.windows = windows_of(node, x.shape, kernel);
    attributes.groups = node.integer("group", 1);
    attributes.bias = node.has_input(2);
    const std::int64_t outputs = weight.shape[0];
    const std::int64_t columns = outputs == 0 ? 0 : element_count(weight.shape) / outputs;
    std::vector<ParameterId> parameters{context.parameter(context.input(node, 1).name,
                                                          convolution_role(attributes.groups, x.shape[1]),
                                                          {outputs, columns}, weight.floats(), true)};
    if (attributes.bias)
        parameters.push_back(context.parameter(context.input(node, 2).name, "bias", {outputs},
                                               context.constant(node, 2).floats()));
    context.set(node, context.emit(node, make_convolution(attributes), {context.channels_last(node, x)},
                                   parameters, image_places(x.rank())));
}

void global_pool(Context& context, const OnnxNode& node, Reduction reduction) {
    const Value& x = context.input(node, 0);
    ReduceAttributes attributes{reduction, {}, true};
    for (std::size_t d = 2; d < x.rank(); ++d) attributes.dimensions.push_back(static_cast<int>(d) - 1);
    context.set(node, context.emit(node, make_reduce(attributes), {context.channels_last(node, x)}, {},
                                   image_places(x.rank())));
}

}  // namespace

void add_convolution_rules(Rules& rules) {
    rules["Conv"] = convolution;
    rules["GlobalAveragePool"] = [](Context& context, const OnnxNode& node) {
        global_pool(context, node, Reduction::mean);
    };
}

}  // namespace jlcm::onnx_rules
