#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"

namespace jlcm {
namespace {

class LayerNorm final : public Operator {
  public:
    LayerNorm(double epsilon, bool affine) : epsilon_(epsilon), affine_(affine) {}
    std::string_view kind() const override { return "layer_norm"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        for (const Shape& parameter : parameters)
            require(!inputs[0].empty() && parameter == Shape{inputs[0].back()},
                    "layer_norm: a parameter of shape {} does not fit an input of shape {}", shown(parameter),
                    shown(inputs[0]));
        return inputs[0];
    }
    Tensor forward(const ForwardContext& context) const override {
        Tensor normalised = context.backend().normalise_rows(context.input(0), epsilon_, nullptr);
        if (!affine_) return normalised;
        return context.backend().scale_and_shift(normalised, context.parameter(0), context.parameter(1));
    }
    void backward(const BackwardContext& context) const override {
        Backend& backend = context.backend();
        const Tensor& g = context.gradient();
        Tensor inverse_deviation;
        const Tensor normalised = backend.normalise_rows(context.input(0), epsilon_, &inverse_deviation);
        Tensor inner = g;
        if (affine_) {
            if (Tensor* slot = context.parameter_gradient(0))
                backend.bias_backward(backend.binary(Binary::multiply, g, normalised), *slot);
            if (Tensor* slot = context.parameter_gradient(1)) backend.bias_backward(g, *slot);
            inner = backend.scale_and_shift(g, context.parameter(0),
                                            Tensor::zeros(context.parameter(0).shape(), g.dtype()));
        }
        if (context.wants_input(0))
            context.add_input_gradient(0,
                                       backend.normalise_rows_backward(normalised, inverse_deviation, inner));
    }
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie_dimensions(0, 0, rule.input_shape(0).size());
        for (std::size_t i = 0; i < (affine_ ? 2U : 0U); ++i) rule.tie(rule.output(), rule.parameter(i, 0));
    }
    nlohmann::json attributes() const override { return {{"epsilon", epsilon_}, {"affine", affine_}}; }

  private:
    double epsilon_;
    bool affine_;
};

class Softmax : public Operator {
  public:
    std::string_view kind() const override { return "softmax"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override { return inputs[0]; }
    Tensor forward(const ForwardContext& context) const override {
        return context.backend().softmax_rows(context.input(0));
    }
    void backward(const BackwardContext& context) const override {
        context.add_input_gradient(
            0, context.backend().softmax_rows_backward(context.output(), context.gradient()));
    }
    // Its sum is the same in any order, which may go by the row's position, but not the other way round.
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie_dimensions(0, 0, rule.input_shape(0).size());
        rule.all_beside();
        rule.inputs_beside(0, rule.input_shape(0).size() - 1);
    }
};

/// Not the logarithm of a Softmax, which is -infinity where a probability is below float32's smallest.
class LogSoftmax final : public Softmax {
  public:
    std::string_view kind() const override { return "log_softmax"; }
    Tensor forward(const ForwardContext& context) const override {
        return context.backend().log_softmax_rows(context.input(0));
    }
    void backward(const BackwardContext& context) const override {
        context.add_input_gradient(
            0, context.backend().log_softmax_rows_backward(context.output(), context.gradient()));
    }
};

}  // namespace

OperatorPtr make_layer_norm(double epsilon, bool affine) {
    return std::make_shared<LayerNorm>(epsilon, affine);
}
OperatorPtr make_softmax() {
    return std::make_shared<Softmax>();
}
OperatorPtr make_log_softmax() {
    return std::make_shared<LogSoftmax>();
}

}  // namespace jlcm
