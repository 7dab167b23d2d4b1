#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

#include <cmath>

namespace jlcm {
namespace {

/// The ids that name rows of a table. Those of a network whose integers are numbers become integers; below 0 they
/// count from the end. An input error names one beyond the table.
Tensor ids_of(const ForwardContext& context) {
    const Tensor& given = context.input(0);
    if (given.dtype() == DType::i32) return given;
    const std::int64_t rows = context.weight(0).rows();
    Tensor ids = Tensor::empty(given.shape(), DType::i32);
    loops::with_type(given.dtype(), [&]<class T>(T) {
        for (std::int64_t i = 0; i < given.size(); ++i) {
            const T id = given.data<T>()[i];
            require(id >= -static_cast<T>(rows) && id < static_cast<T>(rows) && id == std::floor(id),
                    "embedding: id {} of {}", id, rows);
            const auto row = static_cast<std::int64_t>(id);
            ids.data<std::int32_t>()[i] = static_cast<std::int32_t>(row < 0 ? row + rows : row);
        }
    });
    return ids;
}

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
        return context.backend().embedding(ids_of(context), context.weight(0));
    }
    bool takes_packed(std::size_t i) const override { return i == 0; }
    void backward(const BackwardContext& context) const override {
        if (Tensor* slot = context.parameter_gradient(0))
            context.backend().embedding_backward(ids_of(context), context.gradient(), *slot);
    }
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie(rule.output(), rule.parameter(0, 1));
        rule.fix_dimensions(0, 0, rule.input_shape(0).size(), "token ids have a given order");
        rule.fix_output_dimensions(0, rule.output_shape().size() - 1, "token ids have a given order");
        rule.fix(rule.parameter(0, 0), "the vocabulary has a given order");
    }
};

}  // namespace

OperatorPtr make_embedding() {
    return std::make_shared<Embedding>();
}

}  // namespace jlcm
