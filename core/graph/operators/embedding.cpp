#include "core/graph/permutation.hpp"

namespace jlcm {
namespace {

class Embedding final : public Operator {
  public:
    std::string_view kind() const override { return "embedding"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        require(parameters[0].size() == 2, "embedding: a table of shape {}", shown(parameters[0]));
        Shape shape = inputs[0];
        shape.push_back(parameters[0][1]);
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        return context.backend().embedding(context.input(0), context.weight(0));
    }
    bool takes_packed(std::size_t i) const override { return i == 0; }
    void backward(const BackwardContext& context) const override {
        if (Tensor* slot = context.parameter_gradient(0))
            context.backend().embedding_backward(context.input(0), context.gradient(), *slot);
    }
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie(rule.output(), rule.parameter(0, 1));
        rule.fix_output_dimensions(0, rule.output_shape().size() - 1, "token ids have a given order");
        rule.fix(rule.parameter(0, 0), "the vocabulary has a given order");
    }
};

}  // namespace

OperatorPtr make_embedding() {
    return std::make_shared<Embedding>();
}

}  // namespace jlcm
