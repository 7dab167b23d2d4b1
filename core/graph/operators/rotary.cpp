#include "core/base/json.hpp"
#include "core/graph/permutation.hpp"
#include "core/graph/rotary_frequencies.hpp"

#include <cmath>
#include <map>
#include <mutex>
#include <utility>

namespace jlcm {
namespace {

struct Angles {
    Tensor cosine;
    Tensor sine;
};

class Rotary final : public Operator {
  public:
    Rotary(std::int64_t head_dim, double base, RotaryScaling scaling, std::int64_t turned)
        : head_dim_(head_dim),
          turned_(turned > 0 ? turned : head_dim),
          base_(base),
          scaling_(std::move(scaling)) {
        require(turned_ % 2 == 0 && turned_ <= head_dim_,
                "rotary: {} features of a head of {} are no pairs in it", turned_, head_dim_);
        check_rotary_scaling(turned_, base_, scaling_);
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
        // Keys that are kept were turned as those of a short text.
        require(
            !is_long(end) || context.cache() == nullptr,
            "the model's rotary positions go by other angles in texts of more than {:.0f} tokens, which are read "
            "at once or not at all: give a context of at most that",
            scaling_.original_context);
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
        // The features that do not turn could move, but an axis within heads has no parts.
        rule.fix({{features}}, "rotary position embedding goes by the place in the head");
        rule.tie(rule.input(0), {{heads, features}});
        rule.tie(rule.output(), {{heads, features}});
    }

    nlohmann::json attributes() const override {
        const auto frequencies = [&](bool is_long) {
            return rotary_frequencies(turned_, base_, scaling_, is_long);
        };
        nlohmann::json result{{"head_dim", head_dim_},
                              {"turned", turned_},
                              {"frequencies", frequencies(false)},
                              {"magnitude", scaling_.magnitude}};
        if (scaling_.kind == RotaryScaling::Kind::long_rope) {
            result["long_frequencies"] = frequencies(true);
            result["original_context"] = scaling_.original_context;
        }
        return result;
    }

  private:
    [[nodiscard]] bool is_long(std::int64_t length) const {
        return scaling_.kind == RotaryScaling::Kind::long_rope &&
               static_cast<double>(length) > scaling_.original_context;
    }

    /// Angles for positions 0..length-1 at least, made anew when a longer length is asked for.
    Angles table(std::int64_t asked, DType type) const {
        constexpr std::int64_t at_a_time = 256;  // one token after another asks for one more
        const std::int64_t length = (asked + at_a_time - 1) / at_a_time * at_a_time;
        const std::lock_guard lock(mutex_);
        const bool is_long = this->is_long(asked);
        Angles& kept = kept_[{type, is_long}];
        if (!kept.cosine.defined() || kept.cosine.rows() < length) {
            const std::int64_t half = turned_ / 2;
            const std::vector<double> steps = rotary_frequencies(turned_, base_, scaling_, is_long);
            Angles exact{Tensor::empty({length, half}, DType::f64),
                         Tensor::empty({length, half}, DType::f64)};
            for (std::int64_t pair = 0; pair < half; ++pair) {
                const double step = steps[static_cast<std::size_t>(pair)];
                for (std::int64_t position = 0; position < length; ++position) {
                    const double angle = static_cast<double>(position) * step;
                    exact.cosine.data<double>()[position * half + pair] =
                        scaling_.magnitude * std::cos(angle);
                    exact.sine.data<double>()[position * half + pair] = scaling_.magnitude * std::sin(angle);
                }
            }
            kept = {exact.cosine.to(type), exact.sine.to(type)};
        }
        return kept;
    }

    std::int64_t head_dim_;
    std::int64_t turned_;
    double base_;
    RotaryScaling scaling_;
    mutable std::mutex mutex_;
    mutable std::map<std::pair<DType, bool>, Angles> kept_;  ///< by type, of short and of long texts
};

}  // namespace

OperatorPtr make_rotary(std::int64_t head_dim, double base, RotaryScaling scaling, std::int64_t turned) {
    return std::make_shared<Rotary>(head_dim, base, std::move(scaling), turned);
}

}  // namespace jlcm
