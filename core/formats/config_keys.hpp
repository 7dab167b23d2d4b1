#pragma once
// Reading the values of a config.json: every one checked, errors with the key's name.

#include "core/base/json.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace jlcm {

inline constexpr std::int64_t largest_config_size = std::int64_t{1} << 30;
inline constexpr std::int64_t most_config_layers = 10000;

/// Whether the key is there and not null.
[[nodiscard]] bool has_key(const nlohmann::json& config, const std::string& key);

/// A whole number from 1 to `largest`, a positive number, true or false, a string. Where the key is missing
/// or null it is `otherwise`; without that, an input error.
[[nodiscard]] std::int64_t config_integer(const nlohmann::json& config, const std::string& key,
                                          std::optional<std::int64_t> otherwise = {},
                                          std::int64_t largest = largest_config_size);
[[nodiscard]] double config_positive(const nlohmann::json& config, const std::string& key,
                                     std::optional<double> otherwise = {});
[[nodiscard]] bool config_flag(const nlohmann::json& config, const std::string& key, bool otherwise = false);
[[nodiscard]] std::string config_text(const nlohmann::json& config, const std::string& key,
                                      const std::string& otherwise);

/// Sets the key to `config_flag`, and refuses another value than `supported`: "'KEY' is true: not supported".
void require_flag(nlohmann::json& config, const std::string& key, bool supported);

/// An input error unless `heads` share `hidden` equally.
void require_whole_heads(std::int64_t hidden, std::int64_t heads);

}  // namespace jlcm
