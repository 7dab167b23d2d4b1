#pragma once
// What is said of the inputs of a model whose file leaves something open: `model.inputs` of a spec.

#include "core/spec/fields.hpp"
#include "core/tensor/tensor.hpp"

#include <optional>
#include <string>
#include <vector>

namespace jlcm {

struct InputChoice {
    std::string name{};  ///< empty: of the only one
    /// Of one sample, without the dimension of samples, or of all dimensions where it has none; empty: the file's own.
    Shape shape{};
    std::optional<double> value{};  ///< every element is this number: the input is a constant of the model
    void fields(Fields& v);
    void validate(Problems& problems) const;
};

/// By name, as a map in YAML: {images: {shape: [3, 640, 640]}}.
struct InputChoices {
    std::vector<InputChoice> all{};
};

/// The same from one line of YAML; input errors name what is wrong with it.
[[nodiscard]] InputChoices parse_input_choices(const std::string& yaml);

class InputChoicesSlot : public Slot {
  public:
    explicit InputChoicesSlot(InputChoices& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override;
    [[nodiscard]] Config encode() const override;
    [[nodiscard]] TypeDoc type() const override { return TypeDoc::of(TypeDoc::Kind::any); }

  private:
    InputChoices& variable_;
};

template <>
struct SlotOf<InputChoices> {
    using Type = InputChoicesSlot;
};

}  // namespace jlcm
