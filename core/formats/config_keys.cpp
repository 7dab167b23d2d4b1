#include "core/formats/config_keys.hpp"

#include "core/base/error.hpp"

#include <cmath>

namespace jlcm {

using nlohmann::json;

bool has_key(const json& config, const std::string& key) {
    return config.contains(key) && !config.at(key).is_null();
}

std::int64_t config_integer(const json& config, const std::string& key, std::optional<std::int64_t> otherwise,
                            std::int64_t largest) {
    if (!has_key(config, key)) {
        if (!otherwise) fail("the configuration lacks '{}'", key);
        return *otherwise;
    }
    const json& value = config.at(key);
    const bool fits = value.is_number_integer() && value >= 1 && value <= largest;
    require(fits, "'{}' is {}: expected a whole number from 1 to {}", key, value.dump(), largest);
    return value.get<std::int64_t>();
}

double config_positive(const json& config, const std::string& key, std::optional<double> otherwise) {
    if (!has_key(config, key)) {
        if (!otherwise) fail("the configuration lacks '{}'", key);
        return *otherwise;
    }
    const json& value = config.at(key);
    require(value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() > 0,
            "'{}' is {}: expected a positive number", key, value.dump());
    return value.get<double>();
}

bool config_flag(const json& config, const std::string& key, bool otherwise) {
    if (!has_key(config, key)) return otherwise;
    require(config.at(key).is_boolean(), "'{}' is {}: expected true or false", key, config.at(key).dump());
    return config.at(key).get<bool>();
}

std::string config_text(const json& config, const std::string& key, const std::string& otherwise) {
    if (!has_key(config, key)) return otherwise;
    require(config.at(key).is_string(), "'{}' is {}: expected a string", key, config.at(key).dump());
    return config.at(key).get<std::string>();
}

void require_flag(json& config, const std::string& key, bool supported) {
    config[key] = config_flag(config, key, supported);
    require(config.at(key) == supported, "'{}' is {}: not supported", key, config.at(key).dump());
}

void require_whole_heads(std::int64_t hidden, std::int64_t heads) {
    require(hidden % heads == 0, "a width of {} is not a multiple of {} attention heads", hidden, heads);
}

}  // namespace jlcm
