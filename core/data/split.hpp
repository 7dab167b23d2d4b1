#pragma once
// Parts of a dataset that have nothing in common.

#include "core/spec/fields.hpp"

#include <cstdint>

namespace jlcm {

/// What is learned on `calibration` has never seen anything of `held_out`.
enum class Split : std::uint8_t { all, calibration, held_out };
inline EnumNames<Split> enum_names(Split /*tag*/) {
    return {{Split::all, "all", "everything"},
            {Split::calibration, "calibration", "what is not held out"},
            {Split::held_out, "held_out", "what is"}};
}

}  // namespace jlcm
