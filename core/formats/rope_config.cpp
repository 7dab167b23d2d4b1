#include "core/formats/rope_config.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr const char* original_context = "original_max_position_embeddings";

json complete_llama3(ConfigReader& scaling) {
    json result{{"rope_type", "llama3"}, {"factor", scaling.positive("factor")}};
    const double low = scaling.positive("low_freq_factor");
    const double high = scaling.positive("high_freq_factor");
    if (low > 0 && high > 0 && low >= high)
        scaling.problem("rope_scaling: low_freq_factor {} is not below high_freq_factor {}", low, high);
    result["low_freq_factor"] = low;
    result["high_freq_factor"] = high;
    result[original_context] = scaling.integer(original_context);
    return result;
}

/// Peng et al., "YaRN", 2023, section 3.4: how attention gets sharper with the context.
double yarn_magnitude(double factor, double share) {
    return factor <= 1 ? 1.0 : 0.1 * share * std::log(factor) + 1.0;
}

json complete_yarn(ConfigReader& scaling, std::int64_t positions) {
    json result{{"rope_type", "yarn"}, {"factor", scaling.positive("factor")}};
    result[original_context] = scaling.integer(original_context, positions);
    const double fast = scaling.positive("beta_fast", 32.0);
    const double slow = scaling.positive("beta_slow", 1.0);
    if (fast > 0 && slow >= fast)
        scaling.problem("rope_scaling: beta_slow {} is not below beta_fast {}", slow, fast);
    result["beta_fast"] = fast;
    result["beta_slow"] = slow;
    const auto factor = result["factor"].get<double>();
    double magnitude = yarn_magnitude(factor, 1.0);
    if (scaling.has("mscale") && scaling.has("mscale_all_dim"))
        magnitude = yarn_magnitude(factor, scaling.positive("mscale")) /
                    yarn_magnitude(factor, scaling.positive("mscale_all_dim"));
    result["attention_factor"] = scaling.positive("attention_factor", magnitude);
    if (!scaling.flag("truncate", true)) result["truncate"] = false;
    return result;
}

/// A list of `pairs` positive numbers.
json complete_factors(ConfigReader& scaling, const char* key, std::int64_t pairs) {
    const json& list = scaling.has(key) ? scaling.config().at(key) : json();
    const auto fits = [](const json& each) {
        return each.is_number() && std::isfinite(each.get<double>()) && each.get<double>() > 0;
    };
    if (list.is_array() && std::ssize(list) == pairs && std::ranges::all_of(list, fits)) return list;
    scaling.problem("'{}' is no list of {} positive numbers, one per pair of features that turn",
                    scaling.name(key), pairs);
    return json::array();
}

/// The original context is the configuration's own key, as Phi-3 has it.
json complete_long_rope(ConfigReader& config, ConfigReader& scaling, std::int64_t pairs) {
    json result{{"type", "longrope"},
                {"short_factor", complete_factors(scaling, "short_factor", pairs)},
                {"long_factor", complete_factors(scaling, "long_factor", pairs)}};
    if (scaling.has(original_context))
        config.config()[original_context] = scaling.config().at(original_context);
    const auto original = config.integer(original_context, 4096);
    if (original == 1) config.problem("'{}' is 1: expected a text's length", original_context);
    if (scaling.has("attention_factor")) result["attention_factor"] = scaling.positive("attention_factor");
    return result;
}

json complete_rope_scaling(ConfigReader& config, std::span<const std::string_view> kinds,
                           std::int64_t pairs) {
    if (!config.has("rope_scaling")) return nullptr;
    json given = config.config().at("rope_scaling");
    if (!given.is_object()) {
        config.problem("'rope_scaling' is {}: expected an object", given.dump());
        return nullptr;
    }
    if (!has_key(given, "rope_type") && has_key(given, "type")) given["rope_type"] = given["type"];
    if (has_key(given, "rope_type") && given["rope_type"] == "su") given["rope_type"] = "longrope";
    ConfigReader scaling(given, config.problems(), "rope_scaling.");
    const std::string type =
        scaling.one_of("rope_type", kinds,
                       "'dynamic' changes nothing up to max_position_embeddings, so that null does for texts "
                       "up to there; else choose another model");
    if (std::ranges::find(kinds, type) == kinds.end() || type == "default") return nullptr;
    if (type == "linear") return {{"rope_type", type}, {"factor", scaling.positive("factor")}};
    if (type == "llama3") return complete_llama3(scaling);
    if (type == "yarn") return complete_yarn(scaling, config.integer("max_position_embeddings", 2048));
    return complete_long_rope(config, scaling, pairs);
}

}  // namespace

void split_rope_parameters(ConfigReader& reader) {
    if (!reader.has("rope_parameters")) return;
    json& config = reader.config();
    json parameters = config.at("rope_parameters");
    config.erase("rope_parameters");
    if (!parameters.is_object()) {
        reader.problem("'rope_parameters' is {}: expected an object", parameters.dump());
        return;
    }
    for (const char* key : {"rope_theta", "partial_rotary_factor"}) {
        if (has_key(parameters, key)) config[key] = parameters.at(key);
        parameters.erase(key);
    }
    config["rope_scaling"] = parameters;
}

void complete_rope(ConfigReader& config, double base, std::span<const std::string_view> kinds,
                   std::int64_t pairs) {
    config.positive("rope_theta", base);
    config.config()["rope_scaling"] = complete_rope_scaling(config, kinds, pairs);
}

std::int64_t turned_features(const json& config, const char* key, std::int64_t head_dim) {
    return static_cast<std::int64_t>(config.at(key).get<double>() * static_cast<double>(head_dim));
}

std::int64_t complete_turned(ConfigReader& config, const char* key, double otherwise, std::int64_t head_dim) {
    const double factor = config.positive(key, otherwise);
    const bool is_share = factor > 0 && factor <= 1;
    const std::int64_t turned = is_share ? turned_features(config.config(), key, head_dim) : 0;
    if (factor > 1) config.problem("'{}' is {}: expected at most 1", key, factor);
    if (is_share && head_dim > 0 && (turned == 0 || turned % 2 != 0))
        config.problem("'{}' is {}: rotary embedding turns an even number of features, not {} of {}", key,
                       factor, turned, head_dim);
    return turned;
}

RotaryScaling rotary_scaling(const json& config) {
    using enum RotaryScaling::Kind;
    RotaryScaling scaling;
    const json& given = config.at("rope_scaling");
    if (given.is_null()) return scaling;
    const auto number = [&](const char* key) { return given.at(key).get<double>(); };
    if (given.contains("short_factor")) {
        scaling.kind = long_rope;
        scaling.short_factors = given.at("short_factor").get<std::vector<double>>();
        scaling.long_factors = given.at("long_factor").get<std::vector<double>>();
        scaling.original_context = config.at(original_context);
        const double factor = config.at("max_position_embeddings").get<double>() / scaling.original_context;
        // LongRoPE as Phi-3 has it.
        const double own =
            factor <= 1 ? 1.0 : std::sqrt(1 + std::log(factor) / std::log(scaling.original_context));
        scaling.magnitude = given.value("attention_factor", own);
        return scaling;
    }
    scaling.factor = number("factor");
    const json& type = given.at("rope_type");
    scaling.kind = type == "linear" ? linear : (type == "yarn" ? yarn : llama3);
    if (scaling.kind == linear) return scaling;
    scaling.original_context = number(original_context);
    if (scaling.kind == llama3) {
        scaling.low_frequency_factor = number("low_freq_factor");
        scaling.high_frequency_factor = number("high_freq_factor");
        return scaling;
    }
    scaling.fast_turns = number("beta_fast");
    scaling.slow_turns = number("beta_slow");
    scaling.whole_pairs = given.value("truncate", true);
    scaling.magnitude = number("attention_factor");
    return scaling;
}

}  // namespace jlcm
