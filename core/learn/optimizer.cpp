#include "core/learn/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace jlcm {

double schedule_factor(Schedule schedule, std::int64_t step, std::int64_t steps, std::int64_t warmup) {
    ensure(step >= 0 && step < steps, "step {} of {}", step, steps);
    if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup + 1);
    // The middle of the step's share, so that neither the first step nor the last one is lost.
    const double done = (static_cast<double>(step - warmup) + 0.5) /
                        static_cast<double>(std::max<std::int64_t>(1, steps - warmup));
    switch (schedule) {
        case Schedule::constant:
            return 1.0;
        case Schedule::linear:
            return 1.0 - done;
        case Schedule::cosine:
            return 0.5 * (1.0 + std::cos(std::numbers::pi * done));
    }
    return 1.0;
}

AdamStep adam_step(std::int64_t step, double rate) {
    constexpr AdamConstants constants;
    const auto t = static_cast<double>(step + 1);
    return {.rate = static_cast<float>(rate),
            .beta1 = static_cast<float>(constants.beta1),
            .beta2 = static_cast<float>(constants.beta2),
            .correction1 = static_cast<float>(1.0 / (1.0 - std::pow(constants.beta1, t))),
            .correction2 = static_cast<float>(1.0 / (1.0 - std::pow(constants.beta2, t))),
            .epsilon = static_cast<float>(constants.epsilon)};
}

Adam::Adam(const Shape& shape, std::string name)
    : name_(std::move(name)), first_(Tensor::zeros(shape)), second_(Tensor::zeros(shape)) {}

void Adam::step(Tensor& value, const Tensor& gradient, std::int64_t step, std::span<const double> rates,
                Backend& backend) {
    backend.adam(value, gradient, adam_step(step, 1.0), rates, first_, second_);
}

void Adam::append_state(std::vector<NamedTensor>& state) const {
    state.push_back({name_ + ".first_moment", first_});
    state.push_back({name_ + ".second_moment", second_});
}

}  // namespace jlcm
