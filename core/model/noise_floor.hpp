#pragma once
// How far rounding alone takes a model from itself: what is below that says nothing about a compressed one.

#include "core/model/evaluation.hpp"
#include "core/spec/fields.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace jlcm {

/// The option of evaluations that have one.
void noise_floor_field(Fields& v, bool& is_wanted);

/// Of an evaluation under way: the original once more, with products of the other type (other_type()), as the second model
/// that is measured.
class NoiseFloor {
  public:
    /// `evaluation`: named in the warning that this machine has no bfloat16. `models` must outlive it.
    NoiseFloor(bool is_wanted, const EvaluatedModels& models, std::string_view evaluation);
    NoiseFloor(const NoiseFloor&) = delete;
    NoiseFloor& operator=(const NoiseFloor&) = delete;

    /// All that are to be measured, the original first.
    [[nodiscard]] const std::vector<const BoundModel*>& models() const { return models_; }

    /// Takes the second of the figures of models() out. What it says of KL becomes keys of the original's figures, and of each
    /// of its outputs if it has several, with `noise_floor_` in front.
    void fold(std::vector<Figures>& figures) const;

  private:
    std::optional<BoundModel> rounded_;
    std::vector<const BoundModel*> models_;
};

}  // namespace jlcm
