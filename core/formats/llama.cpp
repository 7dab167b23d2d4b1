#include "core/formats/llama.hpp"

#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/config_keys.hpp"
#include "core/formats/rope_config.hpp"
#include "core/graph/rotary_frequencies.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

namespace jlcm {
namespace {

using nlohmann::json;

/// GGUF stores the divisors of the rotary frequencies, not the rule they come from: find the llama3 rule,
/// with the constants that every published model uses, and make sure that it gives these divisors.
json rope_scaling_from_factors(ArchitectureMetadata& metadata, const StoredTensor& stored,
                               const json& config) {
    const Tensor given = decode(stored);
    const auto values = given.values<float>();
    require(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }),
            "tensor '{}' is not finite", stored.name);
    json result{{"rope_type", "llama3"},
                {"factor", values.empty() ? 1.0 : shortest(*std::max_element(values.begin(), values.end()))},
                {"low_freq_factor", 1.0},
                {"high_freq_factor", 4.0},
                {"original_max_position_embeddings", 8192}};
    json candidate = config;
    candidate["rope_scaling"] = result;
    const auto expected = rotary_frequency_factors(complete_config(candidate));
    bool same = expected.size() == values.size();
    for (std::size_t i = 0; same && i < values.size(); ++i)
        same = std::fabs(expected[i] - values[i]) <= 1e-4F * expected[i];
    if (same) return result;
    metadata.problem(
        "tensor '{}' is not the llama3 rule with low 1, high 4 and 8192 positions: not supported; take the "
        "model's Hugging Face folder",
        stored.name);
    return nullptr;
}

}  // namespace

void add_rope_scaling(ArchitectureMetadata& metadata, const Gguf& gguf, json& config) {
    const std::string type = metadata.string("rope.scaling.type", "none");
    json factor = metadata.number("rope.scaling.factor");
    const json legacy = metadata.number("rope.scale_linear");
    const json original = metadata.number("rope.scaling.original_context_length");
    if (factor.is_null()) factor = legacy;
    if (type != "none" && type != "linear" && type != "yarn")
        metadata.problem(
            "rotary scaling of type '{}' is not supported, only linear, yarn and llama3; choose another model",
            type);
    if (type == "yarn") {
        config["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", factor}};
        if (!original.is_null()) config["rope_scaling"]["original_max_position_embeddings"] = original;
    }
    if (type == "linear" || (!legacy.is_null() && legacy != 1.0))
        config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", factor}};
    const auto* factors = find_tensor(gguf, rotary_factors_name);
    if (factors == nullptr) return;
    if (config.contains("rope_scaling")) {
        metadata.problem(
            "tensor '{}' together with another rotary scaling is not supported; choose another model",
            factors->name);
    } else if (metadata.problems().count() == 0) {  // the rule is compared under a valid configuration
        config["rope_scaling"] = rope_scaling_from_factors(metadata, *factors, config);
    }
}

bool has_rotary_rows(const std::string& huggingface_name) {
    for (const char* stem : {".self_attn.q_proj.", ".self_attn.k_proj."})
        if (huggingface_name.find(stem) != std::string::npos) return true;
    return false;
}

std::vector<std::int64_t> rotary_rows_in_gguf(std::int64_t rows, std::int64_t head_dim) {
    ensure(head_dim > 0 && head_dim % 2 == 0 && rows % head_dim == 0, "{} rows in heads of {}", rows,
           head_dim);
    std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
    for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t within = row % head_dim;
        const std::int64_t half = within / (head_dim / 2);
        const std::int64_t pair = within % (head_dim / 2);
        order[static_cast<std::size_t>(row)] = row - within + 2 * pair + half;
    }
    return order;
}

std::vector<std::int64_t> rotary_rows_in_huggingface(std::int64_t rows, std::int64_t head_dim) {
    const auto forward = rotary_rows_in_gguf(rows, head_dim);
    std::vector<std::int64_t> order(forward.size());
    for (std::size_t i = 0; i < forward.size(); ++i)
        order[static_cast<std::size_t>(forward[i])] = static_cast<std::int64_t>(i);
    return order;
}

std::vector<float> rotary_frequency_factors(const json& config) {
    const RotaryScaling scaling = rotary_scaling(config);
    if (scaling.kind != RotaryScaling::Kind::llama3) return {};
    const auto head_dim = config.at("head_dim").get<std::int64_t>();
    const auto base = config.at("rope_theta").get<double>();
    const auto plain = rotary_frequencies(head_dim, base, {}, false);
    const auto scaled = rotary_frequencies(head_dim, base, scaling, false);
    std::vector<float> factors;
    for (std::size_t i = 0; i < plain.size(); ++i)
        factors.push_back(static_cast<float>(plain[i] / scaled[i]));
    return factors;
}

}  // namespace jlcm
