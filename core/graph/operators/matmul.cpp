#include "core/graph/broadcast.hpp"
#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"

namespace jlcm {
namespace {

/// Products of matrices in the last two dimensions; the ones before them are equal, or one.
class Matmul final : public Operator {
  public:
    std::string_view kind() const override { return "matmul"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        const Shape& a = inputs[0];
        const Shape& b = inputs[1];
        require(a.size() >= 2 && b.size() >= 2 && a.back() == b[b.size() - 2],
                "a product of matrices {} and {}", shown(a), shown(b));
        Shape shape = broadcast(leading(a), leading(b));
        shape.push_back(a[a.size() - 2]);
        shape.push_back(b.back());
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        const Shape shape = infer(std::vector<Shape>{context.input(0).shape(), context.input(1).shape()}, {});
        Tensor y = Tensor::empty(shape, context.input(0).dtype());
        context.backend().batched_gemm(stretched(context, 0, shape), Transpose::no,
                                       stretched(context, 1, shape), Transpose::no, y);
        return y;
    }
    void backward(const BackwardContext& context) const override {
        const Tensor& g = context.gradient();
        const Tensor a = stretched(context, 0, g.shape());
        const Tensor b = stretched(context, 1, g.shape());
        Backend& backend = context.backend();
        if (context.wants_input(0)) {
            Tensor da = Tensor::empty(a.shape(), a.dtype());
            backend.batched_gemm(g, Transpose::no, b, Transpose::yes, da);
            context.add_input_gradient(0, sum_to(backend, da, context.input(0).shape()));
        }
        if (context.wants_input(1)) {
            Tensor db = Tensor::empty(b.shape(), b.dtype());
            backend.batched_gemm(a, Transpose::yes, g, Transpose::no, db);
            context.add_input_gradient(1, sum_to(backend, db, context.input(1).shape()));
        }
    }
    void permutation_rule(PermutationRule& rule) const override {
        const std::size_t rank = rule.output_shape().size();
        const std::size_t a = rule.input_shape(0).size();
        const std::size_t b = rule.input_shape(1).size();
        for (std::size_t i = 0; i < 2; ++i) {
            const std::size_t missing = rank - rule.input_shape(i).size();
            for (std::size_t d = 0; d + 2 < rule.input_shape(i).size(); ++d)
                if (rule.input_shape(i)[d] == rule.output_shape()[missing + d])
                    rule.tie(rule.input(i, d), rule.output(missing + d));
        }
        rule.tie(rule.input(0, a - 1), rule.input(1, b - 2));
        rule.tie(rule.input(0, a - 2), rule.output(rank - 2));
        rule.tie(rule.input(1, b - 1), rule.output(rank - 1));
        // Each of the three goes by which product it is of, and by nothing else.
        for (const auto& axis : {rule.input(0, a - 1), rule.output(rank - 2), rule.output(rank - 1)}) {
            std::vector<PermutationRule::Axis> axes{axis};
            for (std::size_t d = 0; d + 2 < rank; ++d) axes.push_back(rule.output(d));
            rule.beside(axes);
        }
        for (std::size_t i = 0; i < 2; ++i) rule.inputs_beside(i, rule.input_shape(i).size() - 2);
    }
    double flops(std::span<const Shape> inputs, std::span<const Shape>) const override {
        return 2.0 * static_cast<double>(element_count(infer(inputs, {}))) *
               static_cast<double>(inputs[0].back());
    }

  private:
    static Shape leading(const Shape& shape) { return {shape.begin(), shape.end() - 2}; }
    /// Input i with the output's leading dimensions.
    static Tensor stretched(const ForwardContext& context, std::size_t i, const Shape& output) {
        const Shape& shape = context.input(i).shape();
        Shape full = leading(output);
        full.insert(full.end(), shape.end() - 2, shape.end());
        return expand(context.backend(), context.input(i), full);
    }
};

}  // namespace

OperatorPtr make_matmul() {
    return std::make_shared<Matmul>();
}

}  // namespace jlcm
