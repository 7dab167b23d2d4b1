#pragma once
// Adam and learning-rate schedules. Kingma & Ba, "Adam: a method for stochastic optimization", 2015.

#include "core/backend/backend.hpp"
#include "core/learn/trainable.hpp"
#include "core/spec/fields.hpp"

#include <span>
#include <string>
namespace jlcm {

enum class Schedule : std::uint8_t { constant, linear, cosine };
inline EnumNames<Schedule> enum_names(Schedule) {
    return {{Schedule::constant, "constant", "the rate stays"},
            {Schedule::linear, "linear", "falls to zero on a straight line"},
            {Schedule::cosine, "cosine", "falls to zero on half a cosine"}};
}

/// The factor of the rate at `step` of `steps`: rises over `warmup` steps, then falls as the schedule says.
/// In (0, 1].
[[nodiscard]] double schedule_factor(Schedule schedule, std::int64_t step, std::int64_t steps,
                                     std::int64_t warmup);

/// Constants that all our Adam steps share.
struct AdamConstants {
    double beta1 = 0.9;
    double beta2 = 0.95;
    double epsilon = 1e-15;  ///< gradients of a mean squared error are small
};

/// The constants of step `step` (from 0) at this rate.
[[nodiscard]] AdamStep adam_step(std::int64_t step, double rate);

/// Adam for one small tensor (codebooks, scales, norms), element-wise.
class Adam {
  public:
    Adam(const Shape& shape, std::string name);
    /// value[i] -= rates[i / (size / rates)] * direction of Adam: one rate for each equal part of the tensor.
    void step(Tensor& value, const Tensor& gradient, std::int64_t step, std::span<const double> rates,
              Backend& backend);
    void append_state(std::vector<NamedTensor>& state) const;

  private:
    std::string name_;
    Tensor first_;
    Tensor second_;
};

}  // namespace jlcm
