#include "core/backend/few_rows.hpp"
#include "core/base/json.hpp"
#include "core/graph/permutation.hpp"

namespace jlcm {
namespace {

class Linear final : public Operator {
  public:
    explicit Linear(bool bias) : bias_(bias) {}
    std::string_view kind() const override { return "linear"; }

    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        const Shape& weight = parameters[0];
        require(weight.size() == 2 && !inputs[0].empty() && inputs[0].back() == weight[1],
                "linear: weight {} does not fit an input of shape {}", shown(weight), shown(inputs[0]));
        require(!bias_ || parameters[1] == Shape{weight[0]}, "linear: a bias of shape {} for {} outputs",
                shown(parameters[bias_ ? 1 : 0]), weight[0]);
        Shape shape = inputs[0];
        shape.back() = weight[0];
        return shape;
    }

    // The weight's type decides the precision: a bfloat16 weight makes a bfloat16 product of a rounded input.
    Tensor forward(const ForwardContext& context) const override {
        const BoundWeight& weight = context.weight(0);
        // Kernels on codes round activations themselves.
        const Tensor& plain = context.input(0);
        const bool by_codes = plain.dtype() == DType::f32 && codes_for(weight, matrix(plain).rows) != nullptr;
        const Tensor& x = by_codes ? plain : context.input_as(0, weight.dtype());
        Shape shape = x.shape();
        shape.back() = weight.rows();
        Tensor y = Tensor::empty(shape, weight.dtype() == DType::f64 ? DType::f64 : DType::f32);
        context.backend().multiply(matrix(x), weight, y);
        if (bias_) context.backend().add_bias(y, context.parameter(1));
        return y;
    }

    bool takes_packed(std::size_t i) const override { return i == 0; }

    void backward(const BackwardContext& context) const override {
        const Tensor& weight = context.parameter(0);
        const Tensor& gradient = context.gradient_as(weight.dtype());
        Backend& backend = context.backend();
        context.add_weight_gradient(0, gradient, context.input_as(0, weight.dtype()));
        if (bias_)
            if (Tensor* slot = context.parameter_gradient(1))
                backend.bias_backward(context.gradient(), *slot);
        if (!context.wants_input(0)) return;
        Tensor& dx = context.input_gradient(0);
        const bool add = dx.defined();
        if (!add) dx = Tensor::empty(context.input(0).shape(), context.gradient().dtype());
        backend.gemm(matrix(gradient), Transpose::no, matrix(weight), Transpose::no, dx, add);
    }

    // Columns take any order of the input, rows make the output's.
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie_rows(0);
        rule.tie(rule.input(0), rule.parameter(0, 1));
        rule.tie(rule.output(), rule.parameter(0, 0));
        if (bias_) rule.tie(rule.output(), rule.parameter(1, 0));
    }

    double flops(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        return 2.0 * static_cast<double>(element_count(inputs[0])) * static_cast<double>(parameters[0][0]);
    }

    nlohmann::json attributes() const override { return {{"bias", bias_}}; }

  private:
    bool bias_;
};

}  // namespace

OperatorPtr make_linear(bool bias) {
    return std::make_shared<Linear>(bias);
}

}  // namespace jlcm
