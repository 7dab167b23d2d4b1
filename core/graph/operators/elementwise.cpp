#include "core/graph/permutation.hpp"

namespace jlcm {
namespace {

class UnaryOperator final : public Operator {
  public:
    explicit UnaryOperator(Unary function) : function_(function) {}
    std::string_view kind() const override {
        switch (function_) {
            case Unary::silu:
                return "silu";
            case Unary::relu:
                return "relu";
            case Unary::gelu:
                return "gelu";
            case Unary::tanh:
                return "tanh";
            case Unary::sigmoid:
                return "sigmoid";
        }
        return "unary";
    }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override { return inputs[0]; }
    Tensor forward(const ForwardContext& context) const override {
        return context.backend().unary(function_, context.input(0));
    }
    void backward(const BackwardContext& context) const override {
        context.add_input_gradient(
            0, context.backend().unary_backward(function_, context.input(0), context.gradient()));
    }
    void permutation_rule(PermutationRule& rule) const override { rule.tie(rule.input(0), rule.output()); }

  private:
    Unary function_;
};

class BinaryOperator final : public Operator {
  public:
    explicit BinaryOperator(Binary function) : function_(function) {}
    std::string_view kind() const override {
        switch (function_) {
            case Binary::add:
                return "add";
            case Binary::multiply:
                return "multiply";
            case Binary::silu_multiply:
                return "silu_multiply";
        }
        return "binary";
    }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        require(inputs[0] == inputs[1], "{}: shapes {} and {} differ", kind(), to_string(inputs[0]),
                to_string(inputs[1]));
        return inputs[0];
    }
    Tensor forward(const ForwardContext& context) const override {
        return context.backend().binary(function_, context.input(0), context.input(1));
    }
    void backward(const BackwardContext& context) const override {
        Tensor da;
        Tensor db;
        context.backend().binary_backward(function_, context.input(0), context.input(1), context.gradient(),
                                          da, db);
        context.add_input_gradient(0, da);
        context.add_input_gradient(1, db);
    }
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie(rule.input(0), rule.output());
        rule.tie(rule.input(1), rule.output());
    }

  private:
    Binary function_;
};

}  // namespace

OperatorPtr make_unary(Unary function) {
    return std::make_shared<UnaryOperator>(function);
}
OperatorPtr make_binary(Binary function) {
    return std::make_shared<BinaryOperator>(function);
}

}  // namespace jlcm
