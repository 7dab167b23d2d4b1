#include "core/base/json.hpp"
#include "core/graph/permutation.hpp"

#include <numeric>

namespace jlcm {
namespace {

class Positions final : public Operator {
  public:
    explicit Positions(std::int64_t offset) : offset_(offset) {}
    std::string_view kind() const override { return "positions"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape> parameters) const override {
        require(inputs[0].size() == 2 && parameters[0].size() == 2,
                "positions: ids of shape {}, a table of shape {}", shown(inputs[0]), shown(parameters[0]));
        require(inputs[0][1] + offset_ <= parameters[0][0],
                "positions: windows of {} tokens are beyond the model's {}", inputs[0][1],
                parameters[0][0] - offset_);
        return {1, inputs[0][1], parameters[0][1]};
    }
    Tensor forward(const ForwardContext& context) const override {
        return context.backend().embedding(numbers(context), context.weight(0));
    }
    bool takes_packed(std::size_t i) const override { return i == 0; }
    void backward(const BackwardContext& context) const override {
        if (Tensor* slot = context.parameter_gradient(0))
            context.backend().embedding_backward(numbers(context), context.gradient(), *slot);
    }
    void permutation_rule(PermutationRule& rule) const override {
        constexpr const char* positions = "positions have a given order";
        rule.fix_dimensions(0, 0, 2, positions);
        rule.fix_output_dimensions(0, 2, positions);
        rule.fix(rule.parameter(0, 0), positions);
        rule.tie(rule.output(), rule.parameter(0, 1));
    }
    nlohmann::json attributes() const override { return {{"offset", offset_}}; }

  private:
    Tensor numbers(const ForwardContext& context) const {
        Tensor ids = Tensor::empty({1, context.input(0).shape()[1]}, DType::i32);
        const auto values = ids.values<std::int32_t>();
        std::iota(values.begin(), values.end(), static_cast<std::int32_t>(offset_ + context.position()));
        return ids;
    }
    std::int64_t offset_;
};

}  // namespace

OperatorPtr make_positions(std::int64_t offset) {
    return std::make_shared<Positions>(offset);
}

}  // namespace jlcm
