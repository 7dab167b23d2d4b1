#include "core/base/json.hpp"
#include "core/graph/permutation.hpp"

namespace jlcm {
namespace {

class RmsNorm final : public Operator {
  public:
    RmsNorm(double epsilon, double offset) : epsilon_(epsilon), offset_(offset) {}
    std::string_view kind() const override { return "rms_norm"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        require(!inputs[0].empty() && parameters[0].size() == 1 && parameters[0][0] > 0 &&
                    inputs[0].back() % parameters[0][0] == 0,
                "rms_norm: weight {} does not fit an input of shape {}", shown(parameters[0]),
                shown(inputs[0]));
        return inputs[0];
    }
    Tensor forward(const ForwardContext& context) const override {
        Tensor inverse_rms;
        Tensor y = context.backend().rms_norm(rows_of(context, context.input(0)), weight(context), epsilon_,
                                              inverse_rms);
        context.save(inverse_rms);
        return y.reshape(context.input(0).shape());
    }
    void backward(const BackwardContext& context) const override {
        const Tensor dx = context.backend().rms_norm_backward(
            rows_of(context, context.input(0)), weight(context), context.saved(0),
            rows_of(context, context.gradient()), context.parameter_gradient(0));
        context.add_input_gradient(0, dx.reshape(context.input(0).shape()));
    }
    nlohmann::json attributes() const override { return {{"epsilon", epsilon_}, {"offset", offset_}}; }
    // Rows of their own (heads) move whole, features alike in each.
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie_dimensions(0, 0, rule.input_shape(0).size());
        const PermutationRule::Axis weight = rule.parameter(0, 0);
        const std::int64_t rows = rule.size(rule.output()) / rule.size(weight);
        if (rows == 1) return rule.tie(rule.output(), weight);
        const int features = rule.blocks(rule.size(weight));
        rule.tie(rule.output(), {{rule.blocks(rows), features}});
        rule.tie(weight, {{features}});
    }

  private:
    static Tensor rows_of(const ForwardContext& context, const Tensor& x) {
        const std::int64_t width = context.parameter(0).size();
        return x.shape().back() == width ? x : x.reshape({x.size() / width, width});
    }
    [[nodiscard]] Tensor weight(const ForwardContext& context) const {
        const Tensor& weight = context.parameter(0);
        return offset_ == 0 ? weight : context.backend().unary({Unary::affine, 1.0, offset_}, weight);
    }

    double epsilon_;
    double offset_;
};

}  // namespace

OperatorPtr make_rms_norm(double epsilon, double offset) {
    return std::make_shared<RmsNorm>(epsilon, offset);
}

}  // namespace jlcm
