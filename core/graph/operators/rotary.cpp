#include "core/graph/permutation.hpp"

#include <cmath>
#include <mutex>
#include <numbers>

namespace jlcm {
namespace {

struct Angles {
    Tensor cosine;
    Tensor sine;
};

class Rotary final : public Operator {
  public:
    Rotary(std::int64_t head_dim, double base, RotaryScaling scaling)
        : head_dim_(head_dim), base_(base), scaling_(scaling) {
        require(head_dim > 0 && head_dim % 2 == 0, "rotary: a head of {} has no pairs", head_dim);
        require(base > 0 && scaling.factor > 0, "rotary: base {} and factor {} must be positive", base,
                scaling.factor);
    }
    std::string_view kind() const override { return "rotary"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        require(inputs[0].size() == 3 && inputs[0][2] % head_dim_ == 0,
                "rotary: heads of {} do not fit shape {}", head_dim_, shown(inputs[0]));
        return inputs[0];
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor& x = context.input(0);
        const std::int64_t first = context.position();
        const std::int64_t end = first + x.shape()[1];
        const Angles angles = table(end, x.dtype());
        return context.backend().rotary(x, head_dim_, angles.cosine.slice(first, end),
                                        angles.sine.slice(first, end), false);
    }
    void backward(const BackwardContext& context) const override {
        const Tensor& gradient = context.gradient();
        const Angles angles = table(gradient.shape()[1], gradient.dtype());
        context.add_input_gradient(
            0, context.backend().rotary(gradient, head_dim_, angles.cosine, angles.sine, true));
    }
    // Whole heads move; a feature's angle goes by its place in the head.
    void permutation_rule(PermutationRule& rule) const override {
        rule.fix_dimensions(0, 0, 2, "rotary position embedding goes by the position");
        rule.fix_output_dimensions(0, 2, "rotary position embedding goes by the position");
        const int heads = rule.blocks(rule.size(rule.input(0)) / head_dim_);
        const int features = rule.blocks(head_dim_);
        rule.fix({{features}}, "rotary position embedding goes by the place in the head");
        rule.tie(rule.input(0), {{heads, features}});
        rule.tie(rule.output(), {{heads, features}});
    }

  private:
    double frequency(std::int64_t pair) const {
        const double plain =
            std::pow(base_, -2.0 * static_cast<double>(pair) / static_cast<double>(head_dim_));
        if (scaling_.kind == RotaryScaling::Kind::none) return plain;
        if (scaling_.kind == RotaryScaling::Kind::linear) return plain / scaling_.factor;
        // llama3: long wavelengths are stretched, short ones kept, those between interpolated.
        const double wavelength = 2.0 * std::numbers::pi / plain;
        const double low = scaling_.original_context / scaling_.low_frequency_factor;
        const double high = scaling_.original_context / scaling_.high_frequency_factor;
        if (wavelength < high) return plain;
        if (wavelength > low) return plain / scaling_.factor;
        const double smooth = (scaling_.original_context / wavelength - scaling_.low_frequency_factor) /
                              (scaling_.high_frequency_factor - scaling_.low_frequency_factor);
        return (1.0 - smooth) * plain / scaling_.factor + smooth * plain;
    }

    /// Angles for positions 0..length-1 at least, made anew when a longer length is asked for.
    Angles table(std::int64_t asked, DType type) const {
        constexpr std::int64_t at_a_time = 256;  // one token after another asks for one more
        const std::int64_t length = (asked + at_a_time - 1) / at_a_time * at_a_time;
        const std::lock_guard lock(mutex_);
        Angles& kept = type == DType::f64 ? double_ : float_;
        if (!kept.cosine.defined() || kept.cosine.rows() < length) {
            const std::int64_t half = head_dim_ / 2;
            Angles exact{Tensor::empty({length, half}, DType::f64),
                         Tensor::empty({length, half}, DType::f64)};
            for (std::int64_t pair = 0; pair < half; ++pair) {
                const double step = frequency(pair);
                for (std::int64_t position = 0; position < length; ++position) {
                    const double angle = static_cast<double>(position) * step;
                    exact.cosine.data<double>()[position * half + pair] = std::cos(angle);
                    exact.sine.data<double>()[position * half + pair] = std::sin(angle);
                }
            }
            kept = {exact.cosine.to(type), exact.sine.to(type)};
        }
        return kept;
    }

    std::int64_t head_dim_;
    double base_;
    RotaryScaling scaling_;
    mutable std::mutex mutex_;
    mutable Angles float_;
    mutable Angles double_;
};

}  // namespace

OperatorPtr make_rotary(std::int64_t head_dim, double base, RotaryScaling scaling) {
    return std::make_shared<Rotary>(head_dim, base, scaling);
}

}  // namespace jlcm
