#include "core/graph/data_operators.hpp"
#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

namespace jlcm {
namespace {

class Where final : public Operator {
  public:
    std::string_view kind() const override { return "where"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        return broadcast(broadcast(inputs[0], inputs[1]), inputs[2]);
    }
    Tensor forward(const ForwardContext& context) const override {
        const Shape shape = shape_of(context);
        const DType type = loops::numbers(context.input(1)).dtype();
        return loops::each([](auto condition, auto a, auto b) { return condition != 0 ? a : b; },
                           loops::stretched(context, 0, shape, type),
                           loops::stretched(context, 1, shape, type),
                           loops::stretched(context, 2, shape, type));
    }
    void backward(const BackwardContext& context) const override {
        const Tensor& gradient = context.gradient();
        const Tensor condition = loops::stretched(context, 0, gradient.shape(), gradient.dtype());
        for (const std::size_t i : {1, 2}) {
            if (!context.wants_input(i)) continue;
            const Tensor part = loops::each(
                [i](auto chosen, auto g) { return (chosen != 0) == (i == 1) ? g : 0; }, condition, gradient);
            context.add_input_gradient(i, sum_to(context.backend(), part, context.input(i).shape()));
        }
    }
    void permutation_rule(PermutationRule& rule) const override {
        for (std::size_t i = 0; i < rule.inputs(); ++i) rule.tie_broadcast(i);
        rule.all_beside();
    }

  private:
    static Shape shape_of(const ForwardContext& context) {
        return broadcast(broadcast(context.input(0).shape(), context.input(1).shape()),
                         context.input(2).shape());
    }
};

}  // namespace

OperatorPtr make_where() {
    return std::make_shared<Where>();
}

}  // namespace jlcm
