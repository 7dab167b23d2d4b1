#include "core/graph/permutation.hpp"

namespace jlcm {
namespace {

class RmsNorm final : public Operator {
  public:
    explicit RmsNorm(double epsilon) : epsilon_(epsilon) {}
    std::string_view kind() const override { return "rms_norm"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        require(!inputs[0].empty() && parameters[0] == Shape({inputs[0].back()}),
                "rms_norm: weight {} does not fit an input of shape {}", shown(parameters[0]),
                shown(inputs[0]));
        return inputs[0];
    }
    Tensor forward(const ForwardContext& context) const override {
        Tensor inverse_rms;
        Tensor y = context.backend().rms_norm(context.input(0), context.parameter(0), epsilon_, inverse_rms);
        context.save(inverse_rms);
        return y;
    }
    void backward(const BackwardContext& context) const override {
        context.add_input_gradient(
            0, context.backend().rms_norm_backward(context.input(0), context.parameter(0), context.saved(0),
                                                   context.gradient(), context.parameter_gradient(0)));
    }
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie_dimensions(0, 0, rule.input_shape(0).size());
        rule.tie(rule.output(), rule.parameter(0, 0));
    }

  private:
    double epsilon_;
};

}  // namespace

OperatorPtr make_rms_norm(double epsilon) {
    return std::make_shared<RmsNorm>(epsilon);
}

}  // namespace jlcm
