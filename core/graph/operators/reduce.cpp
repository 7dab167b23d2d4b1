#include "core/graph/broadcast.hpp"
#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"

#include <algorithm>

namespace jlcm {
namespace {

class Reduce final : public Operator {
  public:
    explicit Reduce(ReduceAttributes attributes) : reduce_(std::move(attributes)) {}
    std::string_view kind() const override { return "reduce"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        for (const int d : reduce_.dimensions)
            require(d >= 0 && static_cast<std::size_t>(d) < inputs[0].size(),
                    "reduce: no dimension {} in shape {}", d, shown(inputs[0]));
        Shape shape;
        for (std::size_t d = 0; d < inputs[0].size(); ++d) {
            if (!is_reduced(d))
                shape.push_back(inputs[0][d]);
            else if (reduce_.keep)
                shape.push_back(1);
        }
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& x = context.input(0);
        const Shape shape = infer(std::vector<Shape>{x.shape()}, {});
        Backend& backend = context.backend();
        Tensor sum = sum_to(backend, x, kept(x.shape()));
        if (reduce_.reduction == Reduction::mean) {
            const double share = static_cast<double>(sum.size()) / static_cast<double>(x.size());
            sum = backend.unary({Unary::affine, share, 0}, sum);
        }
        return sum.reshape(shape);
    }
    void backward(const BackwardContext& context) const override {
        if (!context.wants_input(0)) return;
        const Tensor& x = context.input(0);
        const Tensor gradient = context.gradient().reshape(kept(x.shape()));
        Tensor dx = expand(context.backend(), gradient, x.shape());
        if (reduce_.reduction == Reduction::mean) {
            const double share = static_cast<double>(gradient.size()) / static_cast<double>(x.size());
            dx = context.backend().unary({Unary::affine, share, 0}, dx);
        }
        context.add_input_gradient(0, dx);
    }
    // A sum is the same in any order.
    void permutation_rule(PermutationRule& rule) const override {
        std::size_t out = 0;
        for (std::size_t d = 0; d < rule.input_shape(0).size(); ++d) {
            if (!is_reduced(d))
                rule.tie(rule.input(0, d), rule.output(out++));
            else if (reduce_.keep)
                ++out;
        }
    }
    nlohmann::json attributes() const override { return reduce_; }

  private:
    bool is_reduced(std::size_t d) const {
        return std::ranges::count(reduce_.dimensions, static_cast<int>(d)) > 0;
    }
    Shape kept(Shape shape) const {
        for (std::size_t d = 0; d < shape.size(); ++d)
            if (is_reduced(d)) shape[d] = 1;
        return shape;
    }

    ReduceAttributes reduce_;
};

}  // namespace

OperatorPtr make_reduce(ReduceAttributes attributes) {
    return std::make_shared<Reduce>(std::move(attributes));
}

}  // namespace jlcm
