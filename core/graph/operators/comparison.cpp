#include "core/graph/data_operators.hpp"
#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

#include <algorithm>
#include <array>

namespace jlcm {
namespace {

struct ComparisonName {
    Comparison function;
    std::string_view name;
};
constexpr std::array names{
    ComparisonName{Comparison::equal, "equal"},
    ComparisonName{Comparison::less, "less"},
    ComparisonName{Comparison::less_or_equal, "less_or_equal"},
    ComparisonName{Comparison::conjunction, "and"},
    ComparisonName{Comparison::disjunction, "or"},
    ComparisonName{Comparison::exclusive, "exclusive_or"},
};

template <class T>
bool holds(Comparison function, T a, T b) {
    switch (function) {
        case Comparison::equal:
            return a == b;
        case Comparison::less:
            return a < b;
        case Comparison::less_or_equal:
            return a <= b;
        case Comparison::conjunction:
            return a != 0 && b != 0;
        case Comparison::disjunction:
            return a != 0 || b != 0;
        case Comparison::exclusive:
            return (a != 0) != (b != 0);
    }
    return false;
}

class ComparisonOperator final : public Operator {
  public:
    explicit ComparisonOperator(Comparison function) : function_(function) {}
    std::string_view kind() const override {
        return std::ranges::find(names, function_, &ComparisonName::function)->name;
    }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        return broadcast(inputs[0], inputs[1]);
    }
    Tensor forward(const ForwardContext& context) const override {
        const Shape shape = broadcast(context.input(0).shape(), context.input(1).shape());
        const DType type = loops::numbers(context.input(0)).dtype();
        return loops::each([&](auto a, auto b) { return holds(function_, a, b) ? 1 : 0; },
                           loops::stretched(context, 0, shape, type),
                           loops::stretched(context, 1, shape, type));
    }
    void backward(const BackwardContext&) const override {}  // steps pass no gradient
    void permutation_rule(PermutationRule& rule) const override {
        for (std::size_t i = 0; i < rule.inputs(); ++i) rule.tie_broadcast(i);
        rule.all_beside();
    }

  private:
    Comparison function_;
};

}  // namespace

OperatorPtr make_comparison(Comparison function) {
    return std::make_shared<ComparisonOperator>(function);
}

OperatorPtr make_comparison(std::string_view kind) {
    const auto found = std::ranges::find(names, kind, &ComparisonName::name);
    return found == names.end() ? nullptr : make_comparison(found->function);
}

}  // namespace jlcm
