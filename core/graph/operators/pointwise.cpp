#include "core/graph/data_operators.hpp"
#include "core/graph/graph_json.hpp"
#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace jlcm {
namespace {

struct PointwiseName {
    Pointwise function;
    std::string_view name;
};
constexpr std::array names{
    PointwiseName{Pointwise::sine, "sine"},
    PointwiseName{Pointwise::cosine, "cosine"},
    PointwiseName{Pointwise::floor, "floor"},
    PointwiseName{Pointwise::ceiling, "ceiling"},
    PointwiseName{Pointwise::round, "round"},
    PointwiseName{Pointwise::truncate, "truncate"},
    PointwiseName{Pointwise::sign, "sign"},
    PointwiseName{Pointwise::is_nan, "is_nan"},
    PointwiseName{Pointwise::is_infinite, "is_infinite"},
    PointwiseName{Pointwise::is_zero, "is_zero"},
};

template <class T>
T value_of(Pointwise function, T x) {
    switch (function) {
        case Pointwise::sine:
            return std::sin(x);
        case Pointwise::cosine:
            return std::cos(x);
        case Pointwise::floor:
            return std::floor(x);
        case Pointwise::ceiling:
            return std::ceil(x);
        case Pointwise::round:
            return std::nearbyint(x);
        case Pointwise::truncate:
            return std::trunc(x);
        case Pointwise::sign:
            return std::isnan(x) || x == 0 ? x : std::copysign(T(1), x);
        case Pointwise::is_nan:
            return std::isnan(x) ? T(1) : T(0);
        case Pointwise::is_infinite:
            return std::isinf(x) ? T(1) : T(0);
        case Pointwise::is_zero:
            return x == 0 ? T(1) : T(0);
    }
    return x;
}

class PointwiseOperator final : public Operator {
  public:
    explicit PointwiseOperator(Pointwise function) : function_(function) {}
    std::string_view kind() const override {
        return std::ranges::find(names, function_, &PointwiseName::function)->name;
    }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override { return inputs[0]; }
    Tensor forward(const ForwardContext& context) const override {
        return loops::each([&](auto x) { return value_of(function_, x); }, loops::numbers(context.input(0)));
    }
    // Steps pass no gradient.
    void backward(const BackwardContext& context) const override {
        if (!context.wants_input(0)) return;
        if (function_ == Pointwise::sine)
            context.add_input_gradient(0, loops::each([](auto x, auto g) { return std::cos(x) * g; },
                                                      context.input(0), context.gradient()));
        if (function_ == Pointwise::cosine)
            context.add_input_gradient(0, loops::each([](auto x, auto g) { return -std::sin(x) * g; },
                                                      context.input(0), context.gradient()));
    }
    void permutation_rule(PermutationRule& rule) const override {
        rule.tie_dimensions(0, 0, rule.input_shape(0).size());
        rule.all_beside();
    }

  private:
    Pointwise function_;
};

}  // namespace

OperatorPtr make_pointwise(Pointwise function) {
    return std::make_shared<PointwiseOperator>(function);
}

OperatorPtr make_pointwise(std::string_view kind) {
    const auto found = std::ranges::find(names, kind, &PointwiseName::name);
    return found == names.end() ? nullptr : make_pointwise(found->function);
}

}  // namespace jlcm
