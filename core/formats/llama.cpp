#include "core/formats/llama.hpp"

#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/config_keys.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <numbers>
#include <optional>
#include <string_view>
#include <utility>

namespace jlcm {
namespace {

using nlohmann::json;

/// rope_scaling reduced to null, "linear" or "llama3" with the fields that it needs.
json complete_rope_scaling(ConfigReader& config) {
    if (!config.has("rope_scaling")) return nullptr;
    json given = config.config().at("rope_scaling");
    if (!given.is_object()) {
        config.problem("'rope_scaling' is {}: expected an object", given.dump());
        return nullptr;
    }
    if (!has_key(given, "rope_type") && has_key(given, "type")) given["rope_type"] = given["type"];
    ConfigReader scaling(given, config.problems(), "rope_scaling.");
    const std::string type =
        scaling.one_of("rope_type", {"default", "linear", "llama3"},
                       "'dynamic' changes nothing up to max_position_embeddings, so that null does for texts "
                       "up to there; else choose another model");
    json result{{"rope_type", type}};
    if (type != "linear" && type != "llama3") return nullptr;
    result["factor"] = scaling.positive("factor");
    if (type == "linear") return result;
    const double low = scaling.positive("low_freq_factor");
    const double high = scaling.positive("high_freq_factor");
    if (low > 0 && high > 0 && low >= high)
        config.problem("rope_scaling: low_freq_factor {} is not below high_freq_factor {}", low, high);
    result["low_freq_factor"] = low;
    result["high_freq_factor"] = high;
    result["original_max_position_embeddings"] = scaling.integer("original_max_position_embeddings");
    return result;
}

/// Newer configurations keep rope_theta and rope_scaling together, in rope_parameters.
void split_rope_parameters(ConfigReader& reader) {
    if (!reader.has("rope_parameters")) return;
    json& config = reader.config();
    json parameters = config.at("rope_parameters");
    config.erase("rope_parameters");
    if (!parameters.is_object()) {
        reader.problem("'rope_parameters' is {}: expected an object", parameters.dump());
        return;
    }
    if (has_key(parameters, "rope_theta")) config["rope_theta"] = parameters.at("rope_theta");
    parameters.erase("rope_theta");
    config["rope_scaling"] = parameters;
}

/// GGUF and Hugging Face names within a layer, without ".weight" and ".bias".
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> layer_names{{
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> outer_names{{
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
}};

/// "PREFIX12.rest" as {"12", "rest"}; nothing where `name` is not of that form.
std::optional<std::pair<std::string, std::string>> split_layer(const std::string& name,
                                                               std::string_view prefix) {
    if (!name.starts_with(prefix)) return std::nullopt;
    const auto end = name.find('.', prefix.size());
    if (end == std::string::npos || end == prefix.size()) return std::nullopt;
    std::string layer = name.substr(prefix.size(), end - prefix.size());
    if (layer.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
    return std::pair{std::move(layer), name.substr(end + 1)};
}

/// "stem.weight" or "stem.bias" as {stem, ".weight"}.
std::pair<std::string, std::string> split_kind(const std::string& name) {
    const auto dot = name.rfind('.');
    if (dot == std::string::npos) return {name, ""};
    return {name.substr(0, dot), name.substr(dot)};
}

constexpr std::string_view gguf_prefix = "blk.";
constexpr std::string_view huggingface_prefix = "model.layers.";

/// Exact where a shorter decimal means the same float: 1e-05, not 9.999999747378752e-06.
double shortest(float value) {
    const double candidate = std::stod(fmt::format("{}", value));
    return static_cast<float>(candidate) == value ? candidate : static_cast<double>(value);
}

/// Metadata of "llama.", one key after another; what nobody asked for is refused at the end.
class LlamaMetadata {
  public:
    LlamaMetadata(const Gguf& gguf, Problems& problems) : problems_(problems) {
        for (const auto& [key, value] : gguf.metadata)
            if (key.starts_with("llama.")) left_[key] = &value;
    }

    /// The value as a number that JSON can carry on, null where there is none.
    json number(const std::string& key) {
        const GgufValue* value = take(key);
        if (value == nullptr) return nullptr;
        if (!value->value.is_number()) {
            problem("metadata 'llama.{}' is not a number: models whose layers differ are not supported", key);
            return nullptr;
        }
        if (!std::isfinite(value->value.get<double>())) {
            problem("metadata 'llama.{}' is {}: the file is damaged", key, value->value.get<double>());
            return nullptr;
        }
        return value->type == GgufType::f32 ? json(shortest(value->value.get<float>())) : value->value;
    }

    std::string string(const std::string& key, const std::string& otherwise) {
        const GgufValue* value = take(key);
        if (value == nullptr) return otherwise;
        if (value->type == GgufType::string) return value->value.get<std::string>();
        problem("metadata 'llama.{}' is not a string", key);
        return otherwise;
    }

    void refuse_the_rest() {
        for (const auto& [key, value] : left_)
            problem("metadata '{}' means something that is not supported; choose a model without it", key);
    }

    template <class... Args>
    void problem(fmt::format_string<Args...> format, Args&&... args) {
        problems_.add({}, fmt::format(format, std::forward<Args>(args)...));
    }
    [[nodiscard]] Problems& problems() { return problems_; }

  private:
    const GgufValue* take(const std::string& key) {
        const auto found = left_.find("llama." + key);
        if (found == left_.end()) return nullptr;
        const GgufValue* value = found->second;
        left_.erase(found);
        return value;
    }

    std::map<std::string, const GgufValue*> left_;
    Problems& problems_;
};

const StoredTensor* find_tensor(const Gguf& gguf, std::string_view name) {
    const auto found = std::find_if(gguf.tensors.begin(), gguf.tensors.end(),
                                    [&](const auto& tensor) { return tensor.name == name; });
    return found == gguf.tensors.end() ? nullptr : &*found;
}

/// GGUF stores the divisors of the rotary frequencies, not the rule they come from: find the llama3 rule,
/// with the constants that every published model uses, and make sure that it gives these divisors.
json rope_scaling_from_factors(LlamaMetadata& metadata, const StoredTensor& stored, const json& config) {
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

void add_rope_scaling(LlamaMetadata& metadata, const Gguf& gguf, json& config) {
    const std::string type = metadata.string("rope.scaling.type", "none");
    json factor = metadata.number("rope.scaling.factor");
    const json legacy = metadata.number("rope.scale_linear");
    metadata.number("rope.scaling.original_context_length");
    if (factor.is_null()) factor = legacy;
    if (type != "none" && type != "linear")
        metadata.problem(
            "rotary scaling of type '{}' is not supported, only linear and llama3; choose another model",
            type);
    if (type == "linear" || (!legacy.is_null() && legacy != 1.0))
        config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", factor}};
    const auto* factors = find_tensor(gguf, rotary_factors_name);
    if (factors == nullptr) return;
    if (config.contains("rope_scaling")) {
        metadata.problem(
            "tensor '{}' together with linear rotary scaling is not supported; choose another model",
            factors->name);
    } else if (metadata.problems().count() == 0) {  // the rule is compared under a valid configuration
        config["rope_scaling"] = rope_scaling_from_factors(metadata, *factors, config);
    }
}

GgufValue make_value(GgufType type, json value) {
    return {type, GgufType::u32, std::move(value)};
}

}  // namespace

void complete_rotary(ConfigReader& config) {
    split_rope_parameters(config);
    const auto hidden = config.integer("hidden_size");
    const auto heads = config.integer("num_attention_heads");
    const auto key_value_heads = config.integer("num_key_value_heads", heads);
    config.integer("num_hidden_layers", {}, most_config_layers);
    config.integer("intermediate_size");
    config.integer("vocab_size");
    config.integer("max_position_embeddings", 2048);
    if (key_value_heads > 0 && heads % key_value_heads != 0)
        config.problem("{} attention heads cannot share {} key-value heads", heads, key_value_heads);
    if (!config.has("head_dim")) config.require_whole_heads(hidden, heads);
    const auto head_dim = config.integer("head_dim", heads > 0 ? hidden / heads : 0);
    if (head_dim % 2 != 0)
        config.problem("'head_dim' is {}: rotary embedding needs an even number", head_dim);
    config.positive("rms_norm_eps", 1e-6);
    config.positive("rope_theta", 10000.0);
    config.config()["rope_scaling"] = complete_rope_scaling(config);
    config.flag("tie_word_embeddings");
    config.one_of("hidden_act", {"silu"}, "choose a model with this one");
}

std::string huggingface_name(const std::string& gguf_name) {
    for (const auto& [gguf, huggingface] : outer_names)
        if (gguf == gguf_name) return std::string(huggingface);
    const auto layer = split_layer(gguf_name, gguf_prefix);
    if (!layer) return {};
    const auto [stem, kind] = split_kind(layer->second);
    for (const auto& [gguf, huggingface] : layer_names)
        if (gguf == stem && (kind == ".weight" || kind == ".bias"))
            return fmt::format("{}{}.{}{}", huggingface_prefix, layer->first, huggingface, kind);
    return {};
}

std::string gguf_name(const std::string& huggingface_name) {
    for (const auto& [gguf, huggingface] : outer_names)
        if (huggingface == huggingface_name) return std::string(gguf);
    const auto layer = split_layer(huggingface_name, huggingface_prefix);
    if (!layer) return {};
    const auto [stem, kind] = split_kind(layer->second);
    for (const auto& [gguf, huggingface] : layer_names)
        if (huggingface == stem && (kind == ".weight" || kind == ".bias"))
            return fmt::format("{}{}.{}{}", gguf_prefix, layer->first, gguf, kind);
    return {};
}

bool has_rotary_rows(const std::string& huggingface_name) {
    const auto stem = split_kind(huggingface_name).first;
    return stem.ends_with(".self_attn.q_proj") || stem.ends_with(".self_attn.k_proj");
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
    const json& scaling = config.at("rope_scaling");
    if (scaling.is_null() || scaling.at("rope_type") != "llama3") return {};
    const auto factor = scaling.at("factor").get<double>();
    const auto low = scaling.at("low_freq_factor").get<double>();
    const auto high = scaling.at("high_freq_factor").get<double>();
    const auto positions = scaling.at("original_max_position_embeddings").get<double>();
    const auto theta = config.at("rope_theta").get<double>();
    const auto head_dim = config.at("head_dim").get<std::int64_t>();
    std::vector<float> result;
    for (std::int64_t i = 0; i < head_dim; i += 2) {
        const double wavelength =
            2 * std::numbers::pi * std::pow(theta, static_cast<double>(i) / static_cast<double>(head_dim));
        const double turns = positions / wavelength;
        const double smooth = std::clamp((turns - low) / (high - low), 0.0, 1.0);
        result.push_back(static_cast<float>(1.0 / ((1.0 - smooth) / factor + smooth)));
    }
    return result;
}

json llama_config_from_gguf(const Gguf& gguf, Problems& problems) {
    const auto architecture = gguf.metadata.find("general.architecture");
    require(architecture != gguf.metadata.end() && architecture->second.type == GgufType::string,
            "the metadata lacks 'general.architecture': no file of a model, or not its first part");
    const auto name = architecture->second.value.get<std::string>();
    require(name == "llama",
            "the architecture '{}' is not supported in GGUF, only llama; try the model's Hugging Face folder",
            name);

    LlamaMetadata metadata(gguf, problems);
    json config{{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}, {"hidden_act", "silu"}};
    constexpr std::array<std::pair<const char*, const char*>, 9> keys{{
        {"block_count", "num_hidden_layers"},
        {"context_length", "max_position_embeddings"},
        {"embedding_length", "hidden_size"},
        {"feed_forward_length", "intermediate_size"},
        {"attention.head_count", "num_attention_heads"},
        {"attention.head_count_kv", "num_key_value_heads"},
        {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
        {"attention.key_length", "head_dim"},
        {"rope.freq_base", "rope_theta"},
    }};
    for (const auto& [gguf_key, key] : keys)
        if (json value = metadata.number(gguf_key); !value.is_null()) config[key] = std::move(value);

    const json vocabulary = metadata.number("vocab_size");
    if (const auto* embedding = find_tensor(gguf, "token_embd.weight"); embedding != nullptr) {
        config["vocab_size"] = embedding->rows();
        if (!vocabulary.is_null() && vocabulary != config["vocab_size"])
            metadata.problem("metadata 'llama.vocab_size' is {}, but 'token_embd.weight' has {} rows",
                             vocabulary.dump(), embedding->rows());
    } else {
        metadata.problem("the tensor 'token_embd.weight' is missing");
        config["vocab_size"] = 1;
    }
    config["tie_word_embeddings"] = find_tensor(gguf, "output.weight") == nullptr;
    config["attention_bias"] = find_tensor(gguf, "blk.0.attn_q.bias") != nullptr;
    config["mlp_bias"] = find_tensor(gguf, "blk.0.ffn_gate.bias") != nullptr;

    for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
             {"tokenizer.ggml.bos_token_id", "bos_token_id"},
             {"tokenizer.ggml.eos_token_id", "eos_token_id"},
             {"tokenizer.ggml.padding_token_id", "pad_token_id"}})
        if (const auto found = gguf.metadata.find(from); found != gguf.metadata.end())
            config[to] = found->second.value;  // checked with the tokenizer

    const std::size_t before = problems.count();
    ConfigReader reader(config, problems);
    llama_architecture.complete(reader);
    const json head_dim = config.at("head_dim");
    for (const auto* key : {"attention.value_length", "rope.dimension_count"})
        if (const json value = metadata.number(key);
            !value.is_null() && problems.count() == before && value != head_dim)
            metadata.problem("metadata 'llama.{}' is {}, but a head has {} values: not supported", key,
                             value.dump(), head_dim.dump());
    config.erase("rope_scaling");
    add_rope_scaling(metadata, gguf, config);
    for (const auto* key : {"expert_count", "expert_used_count"})
        if (const json value = metadata.number(key); !value.is_null() && value != 0)
            metadata.problem(
                "metadata 'llama.{}' is {}: mixtures of experts are not supported; choose a model without",
                key, value.dump());
    const std::string layout = metadata.string("tensor_data_layout", "Meta AI original pth");
    if (layout != "Meta AI original pth")
        metadata.problem("metadata 'llama.tensor_data_layout' is '{}': not supported; convert the model anew",
                         layout);
    metadata.refuse_the_rest();
    if (problems.count() == before) llama_architecture.complete(reader);  // with the rotary scaling
    return config;
}

GgufMetadata gguf_metadata_from_llama(const json& config) {
    const auto count = [&](const char* key) { return make_value(GgufType::u32, config.at(key)); };
    const auto real = [&](const char* key) { return make_value(GgufType::f32, config.at(key)); };
    GgufMetadata metadata{
        {"general.architecture", make_value(GgufType::string, "llama")},
        {"llama.block_count", count("num_hidden_layers")},
        {"llama.context_length", count("max_position_embeddings")},
        {"llama.embedding_length", count("hidden_size")},
        {"llama.feed_forward_length", count("intermediate_size")},
        {"llama.attention.head_count", count("num_attention_heads")},
        {"llama.attention.head_count_kv", count("num_key_value_heads")},
        {"llama.attention.key_length", count("head_dim")},
        {"llama.attention.value_length", count("head_dim")},
        {"llama.attention.layer_norm_rms_epsilon", real("rms_norm_eps")},
        {"llama.rope.freq_base", real("rope_theta")},
        {"llama.rope.dimension_count", count("head_dim")},
        {"llama.vocab_size", count("vocab_size")},
    };
    const json& scaling = config.at("rope_scaling");
    if (!scaling.is_null() && scaling.at("rope_type") == "linear") {
        metadata.emplace_back("llama.rope.scaling.type", make_value(GgufType::string, "linear"));
        metadata.emplace_back("llama.rope.scaling.factor", make_value(GgufType::f32, scaling.at("factor")));
    }
    return metadata;
}

}  // namespace jlcm
