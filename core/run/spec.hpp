#pragma once
// What jlcm-run takes. Every key is documented where it is declared (spec.cpp).

#include "core/compress/options.hpp"
#include "core/formats/input_choice.hpp"
#include "core/model/evaluation.hpp"
#include "core/model/model_loader.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

enum class Compute : std::uint8_t { automatic, float32, bfloat16 };
inline EnumNames<Compute> enum_names(Compute /*tag*/) {
    return {{Compute::automatic, "auto", "bfloat16 if the CPU multiplies it in hardware, else float32"},
            {Compute::float32, "float32"},
            {Compute::bfloat16, "bfloat16", "products of bfloat16 inputs, summed in float32"}};
}

struct ModelOptions {
    Choice<ModelLoader> loader{"auto"};
    std::string source;
    std::vector<OutputChoice> outputs;
    InputChoices inputs;
    void fields(Fields& v);
    void validate(Problems& problems) const;
    /// The model, as the loader reads it; `backend` for what that computes.
    [[nodiscard]] Checkpoint load(Backend& backend) const;
};

struct RunSpec {
    std::int64_t version = 1;
    std::string name = "run";
    std::uint64_t seed = 0;
    Compute compute = Compute::automatic;
    double checkpoint_minutes = 2;
    std::vector<std::string> data_path;
    std::vector<std::string> plugins;
    ModelOptions model;
    std::optional<CalibrationOptions> calibration;  ///< there, unless nothing reads samples
    CompressOptions compress;
    std::vector<Choice<Evaluation>> evaluate;
    void fields(Fields& v);
    void validate(Problems& problems) const;
};

/// The resolved spec without what does not change a result (name, places, how often state is saved).
[[nodiscard]] Config identity_of(Config resolved);

}  // namespace jlcm
