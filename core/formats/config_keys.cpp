#include "core/formats/config_keys.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {

using nlohmann::json;

bool has_key(const json& config, const std::string& key) {
    const auto found = config.find(key);
    return found != config.end() && !found->is_null();
}

void throw_together(const ProblemList& problems) {
    if (problems.count() < 2) return problems.throw_if_any();
    std::string list;
    for (const char c : problems.text()) list += c == '\n' ? std::string("\n  ") : std::string(1, c);
    fail("{} problems:\n  {}", problems.count(), list);
}

ConfigReader::ConfigReader(json& config, ProblemList& problems, std::string path)
    : config_(config), problems_(problems), path_(std::move(path)) {}

template <class Fits>
const json* ConfigReader::checked(const std::string& key, bool needed, std::string_view expected,
                                  const Fits& fits) {
    if (!has(key)) {
        if (needed)
            problem("'{}' is missing: expected {}; take the config.json that belongs to these weights",
                    name(key), expected);
        return nullptr;
    }
    const json& value = config_.at(key);
    if (fits(value)) return &value;
    problem("'{}' is {}: expected {}", name(key), value.dump(), expected);
    return nullptr;
}

std::int64_t ConfigReader::integer(const std::string& key, std::optional<std::int64_t> otherwise,
                                   std::int64_t largest) {
    const bool is_given = has(key);
    const json* value =
        checked(key, !otherwise, fmt::format("a whole number from 1 to {}", largest),
                [&](const json& one) { return one.is_number_integer() && one >= 1 && one <= largest; });
    const std::int64_t result = value != nullptr ? value->get<std::int64_t>()
                                : is_given       ? 0
                                                 : otherwise.value_or(0);
    config_[key] = result;
    return result;
}

double ConfigReader::positive(const std::string& key, std::optional<double> otherwise) {
    const bool is_given = has(key);
    const json* value = checked(key, !otherwise, "a positive number", [](const json& one) {
        return one.is_number() && std::isfinite(one.get<double>()) && one.get<double>() > 0;
    });
    const double result = value != nullptr ? value->get<double>() : is_given ? 0 : otherwise.value_or(0);
    config_[key] = result;
    return result;
}

bool ConfigReader::flag(const std::string& key, bool otherwise) {
    const json* value =
        checked(key, false, "true or false", [](const json& one) { return one.is_boolean(); });
    const bool result = value != nullptr ? value->get<bool>() : otherwise;
    config_[key] = result;
    return result;
}

std::string ConfigReader::one_of(const std::string& key, std::span<const std::string_view> supported,
                                 std::string_view remedy, std::string_view otherwise) {
    const json* value = checked(key, false, "a string", [](const json& one) { return one.is_string(); });
    std::string result(otherwise.empty() ? *supported.begin() : otherwise);
    if (value != nullptr) {
        result = value->get<std::string>();
        if (std::ranges::find(supported, result) == supported.end())
            problem("'{}' is '{}': not supported, only {}; {}", name(key), result, fmt::join(supported, ", "),
                    remedy);
    }
    config_[key] = result;
    return result;
}

void ConfigReader::require_flag(const std::string& key, bool supported, std::string_view remedy) {
    if (flag(key, supported) != supported)
        problem("'{}' is {}: not supported; {}", name(key), !supported, remedy);
}

void ConfigReader::require_whole_heads(std::int64_t width, std::int64_t heads) {
    if (width > 0 && heads > 0 && width % heads != 0)
        problem("a width of {} is not a multiple of {} attention heads: one of the two is not this model's",
                width, heads);
}

}  // namespace jlcm
