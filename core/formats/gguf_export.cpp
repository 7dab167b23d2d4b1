#include "core/formats/gguf_export.hpp"

#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/llama.hpp"
#include "core/formats/rope_config.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <fmt/ranges.h>

namespace jlcm {
namespace {

using nlohmann::json;

bool is_real(std::string_view key) {
    return key.ends_with("epsilon") || key.ends_with("softcapping") || key.starts_with("rope.freq_base") ||
           key == "rope.scaling.factor" || key == "rope.scaling.attn_factor";
}

/// Metadata of one architecture.
class MetadataWriter {
  public:
    explicit MetadataWriter(std::string_view architecture) : prefix_(std::string(architecture) + ".") {
        add("general.architecture", GgufType::string, architecture);
    }
    void number(std::string_view key, const json& value) {
        add(prefix_ + std::string(key), is_real(key) ? GgufType::f32 : GgufType::u32, value);
    }
    void text(std::string_view key, std::string_view value) {
        add(prefix_ + std::string(key), GgufType::string, value);
    }
    void flag(std::string_view key, bool value) { add(prefix_ + std::string(key), GgufType::boolean, value); }
    [[nodiscard]] GgufMetadata take() { return std::move(metadata_); }

  private:
    void add(std::string key, GgufType type, json value) {
        metadata_.emplace_back(std::move(key), GgufValue{type, GgufType::u32, std::move(value)});
    }
    std::string prefix_;
    GgufMetadata metadata_;
};

/// GGUF calls a Mistral whose attention sees everything a Llama.
json as_gguf_has_it(json config) {
    if (config.at("model_type") != "mistral") return config;
    require(
        !has_key(config, "sliding_window"),
        "a Mistral whose 'sliding_window' is {} cannot be exported as GGUF, which has none for this family; --format "
        "hf writes its Hugging Face folder",
        config.at("sliding_window").dump());
    config["model_type"] = "llama";
    config["architectures"] = {"LlamaForCausalLM"};
    return complete_config(std::move(config));
}

const GgufFamily& family_of(const json& config) {
    std::vector<std::string_view> known{"mistral"};
    for (const GgufFamily& family : gguf_families()) {
        if (config.at("model_type") == family.model_type) return family;
        known.push_back(family.model_type);
    }
    fail("a model of type {} cannot be exported as GGUF, only {}; --format hf writes its Hugging Face folder",
         config.at("model_type").get<std::string>(), fmt::join(known, ", "));
}

void add_scaling(const json& config, MetadataWriter& metadata) {
    if (!has_key(config, "rope_scaling")) return;
    const RotaryScaling scaling = rotary_scaling(config);
    if (scaling.kind == RotaryScaling::Kind::long_rope)
        metadata.number("rope.scaling.attn_factor", scaling.magnitude);
    const bool is_yarn = scaling.kind == RotaryScaling::Kind::yarn;
    if (!is_yarn && scaling.kind != RotaryScaling::Kind::linear) return;
    metadata.text("rope.scaling.type", is_yarn ? "yarn" : "linear");
    metadata.number("rope.scaling.factor", scaling.factor);
    if (is_yarn)
        metadata.number("rope.scaling.original_context_length",
                        static_cast<std::int64_t>(scaling.original_context));
}

/// Null if there is none; no window is a window of 0 tokens.
const json* value_of(const json& config, std::string_view name) {
    static const json none = 0;
    const auto found = config.find(name);
    if (found == config.end()) return nullptr;
    if (!found->is_null()) return &*found;
    return name == "sliding_window" ? &none : nullptr;
}

GgufMetadata metadata_of(const json& config, const GgufFamily& family) {
    MetadataWriter metadata(family.architecture);
    std::set<std::string_view> written;
    for (const auto* keys : {&family.keys, &common_gguf_keys()})
        for (const auto& [key, name] : *keys)
            if (const json* value = value_of(config, name); value != nullptr && written.insert(key).second)
                metadata.number(key, *value);
    metadata.number("vocab_size", config.at("vocab_size"));
    if (has_key(config, "head_dim")) metadata.number("attention.value_length", config.at("head_dim"));
    const TransformerConfig model = transformer_config(config);
    if (model.position_rows == 0)
        metadata.number("rope.dimension_count", model.turned > 0 ? model.turned : model.head_dim);
    if (config.contains("use_parallel_residual"))
        metadata.flag("use_parallel_residual", config.at("use_parallel_residual"));
    add_scaling(config, metadata);
    return metadata.take();
}

std::vector<float> floats(const std::vector<double>& values) {
    return {values.begin(), values.end()};
}

/// The divisors of rotary frequencies that GGUF holds as tensors.
std::vector<GgufTensor> factors_of(const json& config) {
    std::vector<GgufTensor> tensors;
    const auto add = [&](std::string_view name, std::vector<float> values) {
        if (values.empty()) return;
        const std::int64_t count = std::ssize(values);
        tensors.push_back(
            {.info = {std::string(name), {count}, Encoding::f32}, .parts = {}, .values = std::move(values)});
    };
    if (!has_key(config, "rope_scaling")) return tensors;
    const RotaryScaling scaling = rotary_scaling(config);
    if (scaling.kind == RotaryScaling::Kind::llama3)
        add(rotary_factors_name, rotary_frequency_factors(config));
    add("rope_factors_long.weight", floats(scaling.long_factors));
    add("rope_factors_short.weight", floats(scaling.short_factors));
    return tensors;
}

/// The model's tensors, fused as GGUF has them: all heads of a part follow on each other.
std::vector<FileTensor> fused_tensors(const json& config) {
    std::vector<FileTensor> tensors;
    for (const TensorInfo& info : model_tensors(config)) tensors.push_back({info, {info}});
    if (const Architecture& architecture = architecture_of(config); architecture.fused != nullptr) {
        std::vector<Fusion> fusions = architecture.fused(config);
        for (Fusion& fusion : fusions) fusion.heads = 1;
        join(tensors, fusions);
    }
    return tensors;
}

std::vector<GgufTensor> tensors_of(const json& config, const GgufFamily& family) {
    std::vector<GgufTensor> tensors = factors_of(config);
    for (const FileTensor& each : fused_tensors(config)) {
        const std::string& name = each.info.name;
        if (const std::string experts = gguf_name_of_experts(name, family); !experts.empty()) {
            const auto same = std::ranges::find_if(
                tensors, [&](const GgufTensor& other) { return other.info.name == experts; });
            if (same == tensors.end()) {
                tensors.push_back({{experts, {1, each.info.shape[0], each.info.shape[1]}, each.info.encoding},
                                   {each.info}});
            } else {
                ++same->info.shape[0];
                same->parts.push_back(each.info);
            }
            continue;
        }
        const std::string own = gguf_name(name, family);
        ensure(!own.empty(), "GGUF has no name for '{}'", name);
        tensors.push_back({.info = {own, each.info.shape, each.info.encoding},
                           .parts = each.parts,
                           .offset = name.ends_with("norm.weight") ? family.norm_offset : 0,
                           .interleaved_head = family.interleaved_rows && has_rotary_rows(name)
                                                   ? config.at("head_dim").get<std::int64_t>()
                                                   : 0});
    }
    return tensors;
}

/// Equal but for what float32 rounds away.
bool are_alike(const json& a, const json& b) {
    if (a.is_number() && b.is_number()) {
        const auto x = a.get<double>();
        const auto y = b.get<double>();
        return std::abs(x - y) <= 1e-6 * std::max(std::abs(x), std::abs(y));
    }
    if (a.type() != b.type() || a.size() != b.size()) return false;
    if (!a.is_structured()) return a == b;
    for (const auto& item : a.items()) {
        const bool is_there = a.is_array() || b.contains(item.key());
        if (!is_there) return false;
        const json& other = a.is_array() ? b.at(std::stoul(item.key())) : b.at(item.key());
        if (!are_alike(item.value(), other)) return false;
    }
    return true;
}

/// What a reader takes the file for.
json read_back(const GgufModel& model) {
    Gguf gguf;
    for (const auto& [key, value] : model.metadata) gguf.metadata[key] = value;
    for (const GgufTensor& tensor : model.tensors)
        gguf.tensors.push_back(
            {{tensor.info.name, tensor.info.shape, Encoding::f32}, std::as_bytes(std::span(tensor.values))});
    ProblemList problems;
    json config = config_from_gguf(gguf, problems);
    throw_together(problems);
    return config;
}

/// Keys that say which layers have a window, and mean nothing without one.
bool is_about_windows(const std::string& key) {
    constexpr std::array<std::string_view, 4> keys{"sliding_window", "use_sliding_window",
                                                   "max_window_layers", "layer_types"};
    return std::ranges::find(keys, key) != keys.end();
}

/// An input error names the keys that a reader would take for something else.
void require_the_same(json config, const GgufModel& model) {
    if (has_key(config, "rope_scaling") && config["rope_scaling"].contains("short_factor"))
        config["rope_scaling"]["attention_factor"] = rotary_scaling(config).magnitude;
    std::vector<std::string> lost;
    const json read = read_back(model);
    const TransformerConfig own = transformer_config(config);
    const TransformerConfig other = transformer_config(read);
    for (const auto& [key, value] : read.items()) {
        const bool is_said_otherwise =
            (own.window == 0 && other.window == 0 && is_about_windows(key)) ||
            (own.turned == other.turned && (key == "partial_rotary_factor" || key == "rotary_pct"));
        if (key == "architectures" || is_said_otherwise || !config.contains(key)) continue;
        if (are_alike(config.at(key), value)) continue;
        lost.push_back(fmt::format("'{}' is {}, and a reader of the file would take {}", key,
                                   config.at(key).dump(), value.dump()));
    }
    require(lost.empty(),
            "GGUF cannot say all that config.json does: {}; --format hf writes the Hugging Face folder",
            fmt::join(lost, "; "));
}

}  // namespace

GgufModel gguf_model(const json& given) {
    const json config = as_gguf_has_it(given);
    const GgufFamily& family = family_of(config);
    GgufModel model{metadata_of(config, family), tensors_of(config, family)};
    require_the_same(config, model);
    return model;
}

}  // namespace jlcm
