#pragma once
// The second derivative d2L/dw^2 of a loss in each weight, averaged over the steps' estimates.

#include "core/learn/trainable.hpp"

namespace jlcm {

class CurvatureEstimate {
  public:
    CurvatureEstimate(std::string name, const Shape& shape);
    /// Takes a step's sample, h ~ factor * E[probe^2], into the mean of all samples so far or, from the tenth
    /// on, into a running one. `step` counts from 0.
    void update(const Tensor& probe, double factor, std::int64_t step);
    [[nodiscard]] const Tensor& mean() const { return mean_; }
    void append_state(std::vector<NamedTensor>& state) const;

  private:
    std::string name_;
    Tensor mean_;
};

/// Random signs, float32: the probe v of Hutchinson's estimate diag(J^T J) = E[(J^T v)^2].
[[nodiscard]] Tensor random_signs(const Shape& shape, std::uint64_t seed, std::string_view stream);

}  // namespace jlcm
