#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"

namespace jlcm {
namespace {

class PoolingOperator final : public Operator {
  public:
    explicit PoolingOperator(PoolingAttributes attributes) : attributes_(std::move(attributes)) {}
    std::string_view kind() const override { return "pooling"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        const Windows windows = windows_over(attributes_.windows, inputs[0]);
        Shape shape = inputs[0];
        const std::size_t spatial = attributes_.windows.kernel.size();
        for (std::size_t i = 0; i < spatial; ++i) shape[1 + i] = windows.out_size[2 - spatial + i];
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& x = context.input(0);
        return context.backend()
            .pool(windows_over(attributes_.windows, x.shape()), attributes_.pooling, x)
            .reshape(infer(std::vector<Shape>{x.shape()}, {}));
    }
    void backward(const BackwardContext& context) const override {
        const Tensor& x = context.input(0);
        if (context.wants_input(0))
            context.add_input_gradient(
                0, context.backend().pool_backward(windows_over(attributes_.windows, x.shape()),
                                                   attributes_.pooling, x, context.gradient()));
    }
    void permutation_rule(PermutationRule& rule) const override {
        const std::size_t last = rule.input_shape(0).size() - 1;
        rule.tie_dimensions(0, 0, 1);
        rule.fix_dimensions(0, 1, last, "pixels have a given order");
        rule.fix_output_dimensions(1, last, "pixels have a given order");
        rule.tie_dimensions(0, last, last + 1);
    }
    nlohmann::json attributes() const override { return attributes_; }

  private:
    PoolingAttributes attributes_;
};

}  // namespace

OperatorPtr make_pooling(PoolingAttributes attributes) {
    return std::make_shared<PoolingOperator>(std::move(attributes));
}

}  // namespace jlcm
