#include "core/graph/broadcast.hpp"
#include "core/graph/graph_json.hpp"
#include "core/graph/permutation.hpp"

#include <algorithm>
#include <array>

namespace jlcm {
namespace {

struct UnaryName {
    Unary kind;
    std::string_view name;
    int constants;
};
constexpr std::array unary_names{
    UnaryName{Unary::silu, "silu", 0},
    UnaryName{Unary::relu, "relu", 0},
    UnaryName{Unary::gelu, "gelu", 0},
    UnaryName{Unary::tanh, "tanh", 0},
    UnaryName{Unary::sigmoid, "sigmoid", 0},
    UnaryName{Unary::clip, "clip", 2},
    UnaryName{Unary::leaky_relu, "leaky_relu", 1},
    UnaryName{Unary::hard_sigmoid, "hard_sigmoid", 2},
    UnaryName{Unary::hard_swish, "hard_swish", 0},
    UnaryName{Unary::elu, "elu", 1},
    UnaryName{Unary::softplus, "softplus", 0},
    UnaryName{Unary::affine, "affine", 2},
    UnaryName{Unary::power, "power", 1},
    UnaryName{Unary::exponential, "exponential", 0},
    UnaryName{Unary::logarithm, "logarithm", 0},
    UnaryName{Unary::absolute, "absolute", 0},
    UnaryName{Unary::erf, "erf", 0},
    UnaryName{Unary::gelu_tanh, "gelu_tanh", 0},
    UnaryName{Unary::soft_cap, "soft_cap", 1},
};

struct BinaryName {
    Binary kind;
    std::string_view name;
};
constexpr std::array binary_names{
    BinaryName{Binary::add, "add"},
    BinaryName{Binary::multiply, "multiply"},
    BinaryName{Binary::silu_multiply, "silu_multiply"},
    BinaryName{Binary::subtract, "subtract"},
    BinaryName{Binary::divide, "divide"},
    BinaryName{Binary::minimum, "minimum"},
    BinaryName{Binary::maximum, "maximum"},
};

class UnaryOperator final : public Operator {
  public:
    explicit UnaryOperator(const UnaryFunction& function)
        : function_(function), name_(*std::ranges::find(unary_names, function.kind, &UnaryName::kind)) {}
    std::string_view kind() const override { return name_.name; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override { return inputs[0]; }
    Tensor forward(const ForwardContext& context) const override {
        return context.backend().unary(function_, context.input(0));
    }
    bool fuse(Epilogue& epilogue, const ForwardContext& /*context*/, std::size_t /*i*/,
              const Shape& /*value*/) const override {
        if (epilogue.function) return false;
        epilogue.function = function_;
        return true;
    }
    void backward(const BackwardContext& context) const override {
        context.add_input_gradient(
            0, context.backend().unary_backward(function_, context.input(0), context.gradient()));
    }
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie_dimensions(0, 0, rule.input_shape(0).size());
        rule.all_beside();
    }
    nlohmann::json attributes() const override {
        auto json = nlohmann::json::object();
        if (name_.constants > 0) json["a"] = function_.a;
        if (name_.constants > 1) json["b"] = function_.b;
        return json;
    }

  private:
    UnaryFunction function_;
    UnaryName name_;
};

class BinaryOperator final : public Operator {
  public:
    explicit BinaryOperator(Binary function) : function_(function) {}
    std::string_view kind() const override {
        return std::ranges::find(binary_names, function_, &BinaryName::kind)->name;
    }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        return broadcast(inputs[0], inputs[1]);
    }
    Tensor forward(const ForwardContext& context) const override {
        const Shape shape = broadcast(context.input(0).shape(), context.input(1).shape());
        return context.backend().binary(function_, stretched(context, 0, shape),
                                        stretched(context, 1, shape));
    }
    bool fuse(Epilogue& epilogue, const ForwardContext& context, std::size_t i,
              const Shape& value) const override {
        if (function_ != Binary::add || epilogue.residual.defined() || epilogue.function) return false;
        const Tensor& other = context.input(1 - i);
        if (other.shape() != value) return false;
        epilogue.residual = other;
        return true;
    }
    void backward(const BackwardContext& context) const override {
        const Shape& shape = context.gradient().shape();
        Tensor da;
        Tensor db;
        context.backend().binary_backward(function_, stretched(context, 0, shape),
                                          stretched(context, 1, shape), context.gradient(), da, db);
        context.add_input_gradient(0, sum_to(context.backend(), da, context.input(0).shape()));
        context.add_input_gradient(1, sum_to(context.backend(), db, context.input(1).shape()));
    }
    void permutation_rule(PermutationRule& rule) const override {
        for (std::size_t i = 0; i < rule.inputs(); ++i) rule.tie_broadcast(i);
        rule.all_beside();
    }

  private:
    static Tensor stretched(const ForwardContext& context, std::size_t i, const Shape& shape) {
        return expand(context.backend(), context.input(i), shape);
    }

    Binary function_;
};

}  // namespace

OperatorPtr make_unary(UnaryFunction function) {
    return std::make_shared<UnaryOperator>(function);
}
OperatorPtr make_binary(Binary function) {
    return std::make_shared<BinaryOperator>(function);
}

OperatorPtr make_elementwise(std::string_view kind, const nlohmann::json& attributes) {
    const auto unary = std::ranges::find(unary_names, kind, &UnaryName::name);
    if (unary != unary_names.end())
        return make_unary({unary->kind, unary->constants > 0 ? attributes.at("a").get<double>() : 0.0,
                           unary->constants > 1 ? attributes.at("b").get<double>() : 0.0});
    const auto binary = std::ranges::find(binary_names, kind, &BinaryName::name);
    return binary != binary_names.end() ? make_binary(binary->kind) : nullptr;
}

bool is_binary(std::string_view kind) {
    return std::ranges::find(binary_names, kind, &BinaryName::name) != binary_names.end();
}

}  // namespace jlcm
