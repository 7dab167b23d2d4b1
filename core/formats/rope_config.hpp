#pragma once
// Rotary positions as Hugging Face's configurations say them.

#include "core/base/json.hpp"
#include "core/formats/config_keys.hpp"
#include "core/graph/operator.hpp"

#include <array>
#include <span>
#include <string_view>

namespace jlcm {

/// The kinds of rope_scaling that most families know. Of "dynamic" and others an error says what they change.
inline constexpr std::array<std::string_view, 4> common_rope_kinds{"default", "linear", "llama3", "yarn"};

/// Completes rope_theta (`base` unless given) and rope_scaling: null, or an object of one of `kinds` with the numbers
/// that it needs. What newer configurations hold as rope_parameters is moved there, partial_rotary_factor to the
/// configuration. "longrope" (once called "su") goes by the configuration's original_max_position_embeddings, and its
/// lists have an entry for each of `pairs`.
void complete_rope(ConfigReader& config, double base, std::span<const std::string_view> kinds,
                   std::int64_t pairs = 0);

/// Newer configurations keep rope_theta and rope_scaling together, in rope_parameters.
void split_rope_parameters(ConfigReader& config);

/// Completes partial_rotary_factor under `key`: how many of `head_dim` features turn, an even number. 0 after a
/// problem.
std::int64_t complete_turned(ConfigReader& config, const char* key, double otherwise, std::int64_t head_dim);
/// The same of a completed configuration.
[[nodiscard]] std::int64_t turned_features(const nlohmann::json& config, const char* key,
                                           std::int64_t head_dim);

/// What the rope_scaling of a completed configuration means.
[[nodiscard]] RotaryScaling rotary_scaling(const nlohmann::json& config);

}  // namespace jlcm
