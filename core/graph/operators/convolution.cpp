#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"

#include <algorithm>

namespace jlcm {

Windows windows_over(const WindowAttributes& attributes, const Shape& input) {
    const std::size_t spatial = attributes.kernel.size();
    require((spatial == 1 || spatial == 2) && attributes.stride.size() == spatial &&
                attributes.dilation.size() == spatial && attributes.pad_begin.size() == spatial &&
                attributes.pad_end.size() == spatial,
            "windows of {} spatial dimensions; there can be one or two", spatial);
    require(input.size() == spatial + 2, "windows of {} dimensions over an input of shape {}", spatial,
            shown(input));
    Windows windows;
    windows.images = input.front();
    windows.channels = input.back();
    windows.size = windows.padded_size = windows.out_size = {1, 1};
    for (std::size_t i = 0; i < spatial; ++i) {
        const std::size_t axis = 2 - spatial + i;
        windows.size[axis] = input[1 + i];
        windows.kernel[axis] = attributes.kernel[i];
        windows.stride[axis] = attributes.stride[i];
        windows.dilation[axis] = attributes.dilation[i];
        windows.pad[axis] = attributes.pad_begin[i];
        require(attributes.kernel[i] >= 1 && attributes.stride[i] >= 1 && attributes.dilation[i] >= 1 &&
                    attributes.pad_begin[i] >= 0 && attributes.pad_end[i] >= 0,
                "windows of {}, stride {}, dilation {} and padding {} and {}", attributes.kernel[i],
                attributes.stride[i], attributes.dilation[i], attributes.pad_begin[i], attributes.pad_end[i]);
        const std::int64_t extent = (attributes.kernel[i] - 1) * attributes.dilation[i] + 1;
        const std::int64_t room = input[1 + i] + attributes.pad_begin[i] + attributes.pad_end[i] - extent;
        require(room >= 0, "a window of {} does not fit an input of shape {} with padding {} and {}", extent,
                shown(input), attributes.pad_begin[i], attributes.pad_end[i]);
        const std::int64_t stride = attributes.stride[i];
        std::int64_t count = (attributes.ceil_mode ? room + stride - 1 : room) / stride + 1;
        // A window has to begin before the padding behind the image.
        if (attributes.ceil_mode && (count - 1) * stride >= input[1 + i] + attributes.pad_begin[i]) --count;
        windows.padded_size[axis] = input[1 + i] + attributes.pad_end[i];
        windows.out_size[axis] = count;
    }
    return windows;
}

namespace {

Shape output_shape(const Windows& windows, std::size_t spatial, std::int64_t channels) {
    Shape shape{windows.images};
    for (std::size_t axis = 2 - spatial; axis < 2; ++axis) shape.push_back(windows.out_size[axis]);
    shape.push_back(channels);
    return shape;
}

class ConvolutionOperator final : public Operator {
  public:
    explicit ConvolutionOperator(ConvolutionAttributes attributes) : attributes_(std::move(attributes)) {
        require(attributes_.groups >= 1, "a convolution of {} groups", attributes_.groups);
    }
    std::string_view kind() const override { return "convolution"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        const Convolution shape = shape_of(inputs[0], parameters[0]);
        require(!attributes_.bias || parameters[1] == Shape{shape.outputs},
                "convolution: a bias of shape {} for {} outputs", shown(parameters[attributes_.bias ? 1 : 0]),
                shape.outputs);
        return output_shape(shape.windows, attributes_.windows.kernel.size(), shape.outputs);
    }
    Tensor forward(const ForwardContext& context) const override { return forward_through(context, {}); }
    bool takes_epilogue() const override { return true; }
    // The weight's type decides the precision, as that of a linear layer.
    Tensor forward_through(const ForwardContext& context, const Epilogue& epilogue) const override {
        const Tensor& weight = context.parameter(0);
        const Tensor& x = context.input_as(0, weight.dtype());
        const Convolution shape = shape_of(x.shape(), weight.shape());
        const Tensor y = context.backend().convolution(shape, x, weight,
                                                       attributes_.bias ? &context.parameter(1) : nullptr,
                                                       epilogue, context.prepared(0));
        return y.reshape(output_shape(shape.windows, attributes_.windows.kernel.size(), shape.outputs));
    }
    void backward(const BackwardContext& context) const override {
        const Tensor& weight = context.parameter(0);
        const Convolution shape = shape_of(context.input(0).shape(), weight.shape());
        Backend& backend = context.backend();
        const Tensor& gradient = context.gradient_as(weight.dtype());
        if (context.wants_parameter(0)) {
            Tensor dw = Tensor::zeros(weight.shape(), context.gradient().dtype());
            backend.convolution_weight_gradient(shape, context.input_as(0, weight.dtype()), gradient, dw);
            context.add_parameter_gradient(0, dw);
        }
        if (attributes_.bias)
            if (Tensor* slot = context.parameter_gradient(1))
                backend.bias_backward(context.gradient(), *slot);
        if (context.wants_input(0))
            context.add_input_gradient(0, backend.convolution_input_gradient(shape, weight, gradient)
                                              .reshape(context.input(0).shape()));
    }
    Tensor weight_inputs(const ForwardContext& context) const override {
        const Tensor& weight = context.parameter(0);
        const Tensor& x = context.input_as(0, weight.dtype());
        return context.backend().patches(shape_of(x.shape(), weight.shape()), x);
    }
    std::int64_t weight_groups() const override { return attributes_.groups; }
    std::string weight_inputs_key() const override {
        return nlohmann::json(attributes_.windows).dump() + std::to_string(attributes_.groups);
    }
    // Groups move as a whole; a group's channels, which the columns of all rows stand for, alike in all
    // groups.
    void permutation_rule(PermutationRule& rule) const override {
        const std::size_t spatial = attributes_.windows.kernel.size();
        constexpr const char* positions = "pixels have a given order";
        rule.tie_dimensions(0, 0, 1);
        rule.fix_dimensions(0, 1, 1 + spatial, positions);
        rule.fix_output_dimensions(1, 1 + spatial, positions);
        const int groups = rule.blocks(attributes_.groups);
        const int channels = rule.blocks(rule.size(rule.input(0)) / attributes_.groups);
        const int outputs = rule.blocks(rule.size(rule.output()) / attributes_.groups);
        const int taps = rule.blocks(rule.size(rule.parameter(0, 1)) / rule.size({{channels}}));
        rule.fix({{taps}}, "a kernel's taps have a given order");
        rule.tie(rule.input(0), {{groups, channels}});
        rule.tie(rule.parameter(0, 1), {{channels, taps}});
        rule.tie(rule.output(), {{groups, outputs}});
        rule.tie(rule.parameter(0, 0), {{groups, outputs}});
        if (attributes_.bias) rule.tie(rule.parameter(1, 0), {{groups, outputs}});
    }
    double flops(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        const Convolution shape = shape_of(inputs[0], parameters[0]);
        return 2.0 * static_cast<double>(shape.windows.images * shape.windows.out_pixels()) *
               static_cast<double>(element_count(parameters[0]));
    }
    nlohmann::json attributes() const override { return attributes_; }

  private:
    Convolution shape_of(const Shape& input, const Shape& weight) const {
        Convolution shape{windows_over(attributes_.windows, input), weight.at(0), attributes_.groups};
        require(weight.size() == 2 && shape.windows.channels % shape.groups == 0 &&
                    shape.outputs % shape.groups == 0 && weight[1] == shape.columns(),
                "convolution: a weight {} of {} groups does not fit an input of shape {}", shown(weight),
                shape.groups, shown(input));
        return shape;
    }

    ConvolutionAttributes attributes_;
};

}  // namespace

OperatorPtr make_convolution(ConvolutionAttributes attributes) {
    return std::make_shared<ConvolutionOperator>(std::move(attributes));
}

}  // namespace jlcm
