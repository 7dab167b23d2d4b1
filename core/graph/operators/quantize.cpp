#include "core/graph/data_operators.hpp"
#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

class Quantize final : public Operator {
  public:
    explicit Quantize(QuantizeAttributes attributes) : levels_(attributes) {
        require(levels_.low < levels_.high, "quantize: levels from {} to {}", levels_.low, levels_.high);
    }
    std::string_view kind() const override { return "quantize"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        Shape shape = broadcast(broadcast(inputs[0], inputs[1]), inputs[2]);
        require(shape == inputs[0], "quantize: scales of shape {} and {} for values of shape {}",
                to_string(inputs[1]), to_string(inputs[2]), to_string(inputs[0]));
        return shape;
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& x = context.input(0);
        return loops::each(
            [this](auto value, auto scale, auto zero) {
                using T = decltype(value);
                const T level = std::nearbyint(value / scale) + zero;
                // NaN stays what it is.
                return std::isnan(level)
                           ? level
                           : std::clamp(level, static_cast<T>(levels_.low), static_cast<T>(levels_.high));
            },
            x, loops::stretched(context, 1, x.shape(), x.dtype()),
            loops::stretched(context, 2, x.shape(), x.dtype()));
    }
    // The gradient goes straight through within the levels (Bengio et al., 2013).
    void backward(const BackwardContext& context) const override {
        if (!context.wants_input(0)) return;
        const Tensor& x = context.input(0);
        const Tensor scale = loops::stretched(context, 1, x.shape(), x.dtype());
        const Tensor zero = loops::stretched(context, 2, x.shape(), x.dtype());
        const Tensor within = loops::each(
            [this](auto value, auto s, auto z) {
                const auto level = std::nearbyint(value / s) + z;
                return level >= levels_.low && level <= levels_.high ? 1 / s : 0 * s;
            },
            x, scale, zero);
        context.add_input_gradient(
            0, loops::each([](auto g, auto w) { return g * w; }, context.gradient(), within));
    }
    void permutation_rule(PermutationRule& rule) const override {
        for (std::size_t i = 0; i < rule.inputs(); ++i) rule.tie_broadcast(i);
        rule.all_beside();
    }
    nlohmann::json attributes() const override { return levels_; }

  private:
    QuantizeAttributes levels_;
};

}  // namespace

OperatorPtr make_quantize(QuantizeAttributes attributes) {
    return std::make_shared<Quantize>(attributes);
}

}  // namespace jlcm
