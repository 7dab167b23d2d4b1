#include "core/graph/rotary_frequencies.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace jlcm {
namespace {

/// Long wavelengths are stretched, short ones kept, those between interpolated.
double llama3(double plain, const RotaryScaling& scaling) {
    const double wavelength = 2.0 * std::numbers::pi / plain;
    const double low = scaling.original_context / scaling.low_frequency_factor;
    const double high = scaling.original_context / scaling.high_frequency_factor;
    if (wavelength < high) return plain;
    if (wavelength > low) return plain / scaling.factor;
    const double smooth = (scaling.original_context / wavelength - scaling.low_frequency_factor) /
                          (scaling.high_frequency_factor - scaling.low_frequency_factor);
    return (1.0 - smooth) * plain / scaling.factor + smooth * plain;
}

/// Pairs between those that turn `fast_turns` and `slow_turns` times in the original context are interpolated.
class YarnRamp {
  public:
    YarnRamp(std::int64_t turned, double base, const RotaryScaling& scaling) {
        const auto pair_of = [&](double turns) {
            return static_cast<double>(turned) *
                   std::log(scaling.original_context / (turns * 2.0 * std::numbers::pi)) /
                   (2.0 * std::log(base));
        };
        first_ = pair_of(scaling.fast_turns);
        last_ = pair_of(scaling.slow_turns);
        if (scaling.whole_pairs) {
            first_ = std::floor(first_);
            last_ = std::ceil(last_);
        }
        first_ = std::max(first_, 0.0);
        last_ = std::min(last_, static_cast<double>(turned - 1));
        if (first_ == last_) last_ += 0.001;
    }
    /// 0: kept, 1: divided by the factor.
    [[nodiscard]] double at(std::int64_t pair) const {
        return std::clamp((static_cast<double>(pair) - first_) / (last_ - first_), 0.0, 1.0);
    }

  private:
    double first_;
    double last_;
};

}  // namespace

std::vector<double> rotary_frequencies(std::int64_t turned, double base, const RotaryScaling& scaling,
                                       bool is_long) {
    using enum RotaryScaling::Kind;
    std::vector<double> frequencies;
    for (std::int64_t pair = 0; pair < turned / 2; ++pair) {
        const double plain = std::pow(base, -2.0 * static_cast<double>(pair) / static_cast<double>(turned));
        const auto i = static_cast<std::size_t>(pair);
        switch (scaling.kind) {
            case none:
                frequencies.push_back(plain);
                break;
            case linear:
                frequencies.push_back(plain / scaling.factor);
                break;
            case llama3:
                frequencies.push_back(jlcm::llama3(plain, scaling));
                break;
            case yarn: {
                const double ramp = YarnRamp(turned, base, scaling).at(pair);
                frequencies.push_back(plain * (1.0 - ramp) + plain / scaling.factor * ramp);
                break;
            }
            case long_rope:
                frequencies.push_back(plain / (is_long ? scaling.long_factors : scaling.short_factors).at(i));
                break;
        }
    }
    return frequencies;
}

void check_rotary_scaling(std::int64_t turned, double base, const RotaryScaling& scaling) {
    const bool is_yarn = scaling.kind == RotaryScaling::Kind::yarn;
    require(turned > 0 && turned % 2 == 0, "rotary: {} features have no pairs", turned);
    require(base > 0 && scaling.factor > 0 && scaling.original_context > 0 && scaling.magnitude > 0,
            "rotary: base {}, factor {}, original context {} and magnitude {} must be positive", base,
            scaling.factor, scaling.original_context, scaling.magnitude);
    require(!is_yarn || (base > 1 && scaling.slow_turns > 0 && scaling.fast_turns > scaling.slow_turns),
            "rotary: yarn with base {}, fast turns {} and slow turns {}", base, scaling.fast_turns,
            scaling.slow_turns);
    if (scaling.kind != RotaryScaling::Kind::long_rope) return;
    for (const auto* factors : {&scaling.short_factors, &scaling.long_factors}) {
        require(std::ssize(*factors) == turned / 2, "rotary: {} factors for {} pairs", factors->size(),
                turned / 2);
        require(std::ranges::all_of(*factors, [](double each) { return std::isfinite(each) && each > 0; }),
                "rotary: the factors of long and short texts must be positive");
    }
}

}  // namespace jlcm
