#pragma once
// Learning that cannot go on.

#include "core/base/json.hpp"

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace jlcm {

/// Thrown when a loss or a gradient is NaN or infinite. Nothing that was learned by then is used.
class Diverged : public std::runtime_error {
  public:
    Diverged(const std::string& what, std::int64_t step, double value)
        : std::runtime_error(
              fmt::format("learning diverged: {} is {} in step {}; lower the rates or lengthen the warmup",
                          what, value, step)),
          record_{{"what", what},
                  {"step", step},
                  {"value", std::isnan(value) ? "nan" : fmt::format("{}", value)}} {}

    /// `diverged` of result.json: what, step, value ("nan", "inf"), and what callers add: stage, block.
    [[nodiscard]] const nlohmann::json& record() const { return record_; }
    void add(const nlohmann::json& where) { record_.update(where); }

  private:
    nlohmann::json record_;
};

/// Throws Diverged unless `value` is finite. `what`: "the loss of model.layers.0".
inline void require_converging(double value, const std::string& what, std::int64_t step) {
    if (!std::isfinite(value)) throw Diverged(what, step, value);
}

}  // namespace jlcm
