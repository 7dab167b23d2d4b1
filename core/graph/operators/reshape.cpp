#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"

#include <algorithm>

namespace jlcm {
namespace {

class Reshape final : public Operator {
  public:
    explicit Reshape(Shape shape) : shape_(std::move(shape)) {
        require(std::ranges::count(shape_, -1) <= 1 &&
                    std::ranges::all_of(shape_, [](std::int64_t size) { return size >= -1; }),
                "reshape: {} is no shape", shown(shape_));
    }
    std::string_view kind() const override { return "reshape"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        Shape shape = shape_;
        const std::int64_t elements = element_count(inputs[0]);
        const auto open = std::ranges::find(shape, -1);
        if (open != shape.end()) {
            *open = 1;
            const std::int64_t rest = element_count(shape);
            require(rest > 0 && elements % rest == 0, "reshape: {} elements of shape {} do not make {}",
                    elements, shown(inputs[0]), shown(shape_));
            *open = elements / rest;
        }
        require(element_count(shape) == elements, "reshape: {} elements of shape {} do not make {}", elements,
                shown(inputs[0]), shown(shape_));
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& x = context.input(0);
        return x.reshape(infer(std::vector<Shape>{x.shape()}, {}));
    }
    void backward(const BackwardContext& context) const override {
        if (context.wants_input(0))
            context.add_input_gradient(0, context.gradient().reshape(context.input(0).shape()));
    }
    // Dimensions that are cut or joined among themselves are products of each other.
    void permutation_rule(PermutationRule& rule) const override {
        const Shape& from = rule.input_shape(0);
        const Shape& to = rule.output_shape();
        std::size_t i = 0;
        std::size_t j = 0;
        while (i < from.size() || j < to.size()) {
            std::vector<PermutationRule::Axis> in;
            std::vector<PermutationRule::Axis> out;
            std::int64_t in_size = 1;
            std::int64_t out_size = 1;
            const auto take_in = [&] {
                in_size *= from[i];
                in.push_back(rule.input(0, i++));
            };
            const auto take_out = [&] {
                out_size *= to[j];
                out.push_back(rule.output(j++));
            };
            if (i < from.size()) take_in();
            if (j < to.size()) take_out();
            while (in_size != out_size) (in_size < out_size ? take_in() : take_out());
            tie(rule, in, out);
        }
        rule.all_beside();
    }
    nlohmann::json attributes() const override { return {{"shape", shape_}}; }

  private:
    static void tie(PermutationRule& rule, const std::vector<PermutationRule::Axis>& in,
                    const std::vector<PermutationRule::Axis>& out) {
        const auto from = rule.product(in);
        const auto to = rule.product(out);
        if (from && to) return rule.tie(*from, *to);
        for (const auto* axes : {&in, &out})
            for (const auto& axis : *axes)
                rule.fix(axis, "parts of a dimension cannot be followed through a change of shape");
    }

    Shape shape_;
};

}  // namespace

OperatorPtr make_reshape(Shape shape) {
    return std::make_shared<Reshape>(std::move(shape));
}

}  // namespace jlcm
