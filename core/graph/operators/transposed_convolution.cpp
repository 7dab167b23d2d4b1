#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"

namespace jlcm {
namespace {

// The backward of a convolution over the output image, with the weight's roles of rows and columns exchanged.
class TransposedConvolution final : public Operator {
  public:
    explicit TransposedConvolution(TransposedConvolutionAttributes attributes)
        : attributes_(std::move(attributes)) {
        require(attributes_.groups >= 1 && attributes_.size.size() == attributes_.windows.kernel.size(),
                "a transposed convolution of {} groups over {} dimensions", attributes_.groups,
                attributes_.size.size());
    }
    std::string_view kind() const override { return "transposed_convolution"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        Shape output = output_shape(inputs[0], parameters[0]);
        const Convolution shape = shape_of(inputs[0], parameters[0]);
        Shape expected{inputs[0].front()};
        for (std::size_t i = 0; i < attributes_.size.size(); ++i)
            expected.push_back(shape.windows.out_size[2 - attributes_.size.size() + i]);
        expected.push_back(shape.outputs);
        require(expected == inputs[0], "transposed convolution: an input of shape {}, expected {}",
                shown(inputs[0]), shown(expected));
        return output;
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& x = context.input(0);
        const Tensor& weight = context.parameter(0);
        const Convolution shape = shape_of(x.shape(), weight.shape());
        Tensor y = context.backend()
                       .convolution_input_gradient(shape, exchanged(context, weight, shape),
                                                   context.input_as(0, weight.dtype()))
                       .reshape(output_shape(x.shape(), weight.shape()));
        if (attributes_.bias) context.backend().add_bias(y, context.parameter(1));
        return y;
    }
    void backward(const BackwardContext& context) const override {
        Backend& backend = context.backend();
        const Tensor& weight = context.parameter(0);
        const Convolution shape = shape_of(context.input(0).shape(), weight.shape());
        const Tensor& gradient = context.gradient_as(weight.dtype());
        if (attributes_.bias)
            if (Tensor* slot = context.parameter_gradient(1))
                backend.bias_backward(context.gradient(), *slot);
        if (context.wants_parameter(0)) {
            Tensor dw = Tensor::zeros({shape.outputs, shape.columns()}, context.gradient().dtype());
            backend.convolution_weight_gradient(shape, gradient, context.input_as(0, weight.dtype()), dw);
            Tensor result = Tensor::empty(weight.shape(), dw.dtype());
            const Exchange exchange = exchange_of(shape);
            backend.copy_strided(exchange.extents, dw, exchange.inner, result, exchange.outer, false);
            context.add_parameter_gradient(0, result);
        }
        if (context.wants_input(0))
            context.add_input_gradient(
                0,
                backend.convolution(shape, gradient, exchanged(context, weight, shape), nullptr, {}, nullptr)
                    .reshape(context.input(0).shape()));
    }
    Tensor weight_inputs(const ForwardContext& context) const override {
        const Tensor& x = context.input_as(0, context.parameter(0).dtype());
        if (attributes_.groups == 1) return x;
        const std::int64_t channels = x.shape().back() / attributes_.groups;
        const std::int64_t rows = x.size() / x.shape().back();
        Tensor result = Tensor::empty({attributes_.groups, rows, channels}, x.dtype());
        context.backend().copy_strided(result.shape(), x, {0, {channels, x.shape().back(), 1}}, result,
                                       strides_of(result.shape()), false);
        return result;
    }
    std::int64_t weight_groups() const override { return attributes_.groups; }
    std::string weight_inputs_key() const override {
        return attributes_.groups == 1 ? "" : "by " + std::to_string(attributes_.groups);
    }
    void permutation_rule(PermutationRule& rule) const override {
        const std::size_t last = rule.input_shape(0).size() - 1;
        rule.tie_dimensions(0, 0, 1);
        rule.fix_dimensions(0, 1, last, "pixels have a given order");
        rule.fix_output_dimensions(1, last, "pixels have a given order");
        const int groups = rule.blocks(attributes_.groups);
        const int channels = rule.blocks(rule.size(rule.input(0)) / attributes_.groups);
        const int outputs = rule.blocks(rule.size(rule.output()) / attributes_.groups);
        const int taps = rule.blocks(rule.size(rule.parameter(0, 0)) / rule.size(rule.output()));
        rule.fix({{taps}}, "a kernel's taps have a given order");
        rule.tie(rule.input(0), {{groups, channels}});
        rule.tie(rule.parameter(0, 1), {{channels}});
        rule.tie(rule.output(), {{groups, outputs}});
        rule.tie(rule.parameter(0, 0), {{groups, outputs, taps}});
        if (attributes_.bias) rule.tie(rule.parameter(1, 0), {{groups, outputs}});
    }
    double flops(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        const std::int64_t pixels = element_count(inputs[0]) / inputs[0].back();
        return 2.0 * static_cast<double>(pixels) * static_cast<double>(element_count(parameters[0]));
    }
    nlohmann::json attributes() const override { return attributes_; }

  private:
    /// Where an element lies in the parameter [group][output][tap][channel] and in the convolution's weight
    /// [group][channel][output][tap].
    struct Exchange {
        Shape extents;
        Strides outer;
        Strides inner;
    };
    static Exchange exchange_of(const Convolution& shape) {
        const std::int64_t outputs = shape.group_channels() * shape.windows.taps();
        const std::int64_t channels = shape.group_outputs();
        return {{shape.groups, outputs, channels},
                {0, {outputs * channels, channels, 1}},
                {0, {outputs * channels, 1, outputs}}};
    }
    static Tensor exchanged(const ForwardContext& context, const Tensor& weight, const Convolution& shape) {
        Tensor result = Tensor::empty({shape.outputs, shape.columns()}, weight.dtype());
        const Exchange exchange = exchange_of(shape);
        context.backend().copy_strided(exchange.extents, weight, exchange.outer, result, exchange.inner,
                                       false);
        return result;
    }

    Shape output_shape(const Shape& input, const Shape& weight) const {
        const std::int64_t channels = weight.at(0) / taps();
        require(weight.size() == 2 && input.size() == attributes_.size.size() + 2 &&
                    weight[0] == channels * taps() && channels % attributes_.groups == 0 &&
                    input.back() == weight[1] * attributes_.groups,
                "transposed convolution: a weight {} of {} groups does not fit an input of shape {}",
                shown(weight), attributes_.groups, shown(input));
        Shape shape{input.front()};
        shape.insert(shape.end(), attributes_.size.begin(), attributes_.size.end());
        shape.push_back(channels);
        return shape;
    }
    std::int64_t taps() const {
        std::int64_t taps = 1;
        for (const std::int64_t size : attributes_.windows.kernel) taps *= size;
        return taps;
    }
    /// The convolution from the output to the input.
    Convolution shape_of(const Shape& input, const Shape& weight) const {
        return {windows_over(attributes_.windows, output_shape(input, weight)), input.back(),
                attributes_.groups};
    }

    TransposedConvolutionAttributes attributes_;
};

}  // namespace

OperatorPtr make_transposed_convolution(TransposedConvolutionAttributes attributes) {
    return std::make_shared<TransposedConvolution>(std::move(attributes));
}

}  // namespace jlcm
