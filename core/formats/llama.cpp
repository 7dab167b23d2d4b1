#include "core/formats/llama.hpp"

#include "core/base/error.hpp"
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
json complete_rope_scaling(const json& config) {
    if (!has_key(config, "rope_scaling")) return nullptr;
    const json& given = config.at("rope_scaling");
    require(given.is_object(), "'rope_scaling' is {}: expected an object", given.dump());
    const std::string type = config_text(given, "rope_type", config_text(given, "type", "default"));
    if (type == "default") return nullptr;
    json result{{"rope_type", type}, {"factor", config_positive(given, "factor")}};
    if (type == "linear") return result;
    require(type == "llama3", "rotary scaling of type '{}' is not supported, only linear and llama3", type);
    const double low = config_positive(given, "low_freq_factor");
    const double high = config_positive(given, "high_freq_factor");
    require(low < high, "rope_scaling: low_freq_factor {} is not below high_freq_factor {}", low, high);
    result["low_freq_factor"] = low;
    result["high_freq_factor"] = high;
    result["original_max_position_embeddings"] = config_integer(given, "original_max_position_embeddings");
    return result;
}

/// Newer configurations keep rope_theta and rope_scaling together, in rope_parameters.
void split_rope_parameters(json& config) {
    if (!has_key(config, "rope_parameters")) return;
    json parameters = config.at("rope_parameters");
    require(parameters.is_object(), "'rope_parameters' is {}: expected an object", parameters.dump());
    if (has_key(parameters, "rope_theta")) config["rope_theta"] = parameters.at("rope_theta");
    parameters.erase("rope_theta");
    config["rope_scaling"] = parameters;
    config.erase("rope_parameters");
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
    explicit LlamaMetadata(const Gguf& gguf) {
        for (const auto& [key, value] : gguf.metadata)
            if (key.starts_with("llama.")) left_[key] = &value;
    }

    /// The value as a number that JSON can carry on, null where there is none.
    json number(const std::string& key) {
        const GgufValue* value = take(key);
        if (value == nullptr) return nullptr;
        require(value->value.is_number(), "metadata 'llama.{}' is not a number", key);
        if (value->type != GgufType::f32) return value->value;
        const auto real = value->value.get<float>();
        require(std::isfinite(real), "metadata 'llama.{}' is {}", key, real);
        return shortest(real);
    }

    std::string string(const std::string& key, const std::string& otherwise) {
        const GgufValue* value = take(key);
        if (value == nullptr) return otherwise;
        require(value->type == GgufType::string, "metadata 'llama.{}' is not a string", key);
        return value->value.get<std::string>();
    }

    void refuse_the_rest() const {
        if (!left_.empty()) fail("metadata '{}' means something that is not supported", left_.begin()->first);
    }

  private:
    const GgufValue* take(const std::string& key) {
        const auto found = left_.find("llama." + key);
        if (found == left_.end()) return nullptr;
        const GgufValue* value = found->second;
        left_.erase(found);
        return value;
    }

    std::map<std::string, const GgufValue*> left_;
};

const StoredTensor* find_tensor(const Gguf& gguf, std::string_view name) {
    const auto found = std::find_if(gguf.tensors.begin(), gguf.tensors.end(),
                                    [&](const auto& tensor) { return tensor.name == name; });
    return found == gguf.tensors.end() ? nullptr : &*found;
}

/// GGUF stores the divisors of the rotary frequencies, not the rule they come from: find the llama3 rule,
/// with the constants that every published model uses, and make sure that it gives these divisors.
json rope_scaling_from_factors(const StoredTensor& stored, const json& config) {
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
    const auto expected = rotary_frequency_factors(complete_llama_config(candidate));
    bool same = expected.size() == values.size();
    for (std::size_t i = 0; same && i < values.size(); ++i)
        same = std::fabs(expected[i] - values[i]) <= 1e-4F * expected[i];
    require(same, "tensor '{}' is not the llama3 rule with low 1, high 4 and 8192 positions: not supported",
            stored.name);
    return result;
}

void add_rope_scaling(LlamaMetadata& metadata, const Gguf& gguf, json& config) {
    const std::string type = metadata.string("rope.scaling.type", "none");
    json factor = metadata.number("rope.scaling.factor");
    const json legacy = metadata.number("rope.scale_linear");
    metadata.number("rope.scaling.original_context_length");
    if (factor.is_null()) factor = legacy;
    require(type == "none" || type == "linear",
            "rotary scaling of type '{}' is not supported, only linear and llama3", type);
    if (type == "linear" || (!legacy.is_null() && legacy != 1.0))
        config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", factor}};
    if (const auto* factors = find_tensor(gguf, rotary_factors_name); factors != nullptr) {
        require(!config.contains("rope_scaling"), "tensor '{}' together with linear rotary scaling",
                factors->name);
        config["rope_scaling"] = rope_scaling_from_factors(*factors, config);
    }
}

GgufValue make_value(GgufType type, json value) {
    return {type, GgufType::u32, std::move(value)};
}

}  // namespace

json complete_llama_config(json config) {
    require(config.is_object(), "the configuration is not a JSON object");
    const std::string model = config_text(config, "model_type", "");
    require(model == "llama", "the architecture '{}' is not supported, only llama", model);
    require(!has_key(config, "sliding_window"), "attention with a 'sliding_window' is not supported");
    config = complete_rotary_config(std::move(config));
    for (const auto* key : {"attention_bias", "mlp_bias"}) config[key] = config_flag(config, key);
    return config;
}

json complete_rotary_config(json config) {
    require(!has_key(config, "quantization_config"),
            "weights quantised by 'quantization_config' cannot be read");
    split_rope_parameters(config);

    const auto hidden = config_integer(config, "hidden_size");
    const auto heads = config_integer(config, "num_attention_heads");
    const auto key_value_heads = config_integer(config, "num_key_value_heads", heads);
    config["num_hidden_layers"] = config_integer(config, "num_hidden_layers", {}, most_config_layers);
    config["intermediate_size"] = config_integer(config, "intermediate_size");
    config["vocab_size"] = config_integer(config, "vocab_size");
    config["num_key_value_heads"] = key_value_heads;
    config["max_position_embeddings"] = config_integer(config, "max_position_embeddings", 2048);
    require(heads % key_value_heads == 0, "{} attention heads cannot share {} key-value heads", heads,
            key_value_heads);
    if (!has_key(config, "head_dim")) require_whole_heads(hidden, heads);
    const auto head_dim = config_integer(config, "head_dim", hidden / heads);
    require(head_dim % 2 == 0, "'head_dim' is {}: rotary embedding needs an even number", head_dim);
    config["head_dim"] = head_dim;

    config["rms_norm_eps"] = config_positive(config, "rms_norm_eps", 1e-6);
    config["rope_theta"] = config_positive(config, "rope_theta", 10000.0);
    config["rope_scaling"] = complete_rope_scaling(config);
    config["tie_word_embeddings"] = config_flag(config, "tie_word_embeddings");
    const std::string activation = config_text(config, "hidden_act", "silu");
    require(activation == "silu", "the activation '{}' is not supported, only silu", activation);
    config["hidden_act"] = activation;
    return config;
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

json llama_config_from_gguf(const Gguf& gguf) {
    const auto architecture = gguf.metadata.find("general.architecture");
    require(architecture != gguf.metadata.end() && architecture->second.type == GgufType::string,
            "the metadata lacks 'general.architecture'");
    const auto name = architecture->second.value.get<std::string>();
    require(name == "llama", "the architecture '{}' is not supported, only llama", name);

    LlamaMetadata metadata(gguf);
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

    const auto* embedding = find_tensor(gguf, "token_embd.weight");
    require(embedding != nullptr, "the tensor 'token_embd.weight' is missing");
    config["vocab_size"] = embedding->rows();
    const json vocabulary = metadata.number("vocab_size");
    require(vocabulary.is_null() || vocabulary == config["vocab_size"],
            "metadata 'llama.vocab_size' is {}, but 'token_embd.weight' has {} rows", vocabulary.dump(),
            embedding->rows());
    config["tie_word_embeddings"] = find_tensor(gguf, "output.weight") == nullptr;
    config["attention_bias"] = find_tensor(gguf, "blk.0.attn_q.bias") != nullptr;
    config["mlp_bias"] = find_tensor(gguf, "blk.0.ffn_gate.bias") != nullptr;

    for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
             {"tokenizer.ggml.bos_token_id", "bos_token_id"},
             {"tokenizer.ggml.eos_token_id", "eos_token_id"},
             {"tokenizer.ggml.padding_token_id", "pad_token_id"}})
        if (const auto found = gguf.metadata.find(from); found != gguf.metadata.end()) {
            require(found->second.value.is_number_integer(), "metadata '{}' is not a whole number", from);
            config[to] = found->second.value;
        }

    const json head_dim = complete_llama_config(config).at("head_dim");
    for (const auto* key : {"attention.value_length", "rope.dimension_count"})
        if (const json value = metadata.number(key); !value.is_null())
            require(value == head_dim, "metadata 'llama.{}' is {}, but a head has {} values: not supported",
                    key, value.dump(), head_dim.dump());
    add_rope_scaling(metadata, gguf, config);
    for (const auto* key : {"expert_count", "expert_used_count"})
        if (const json value = metadata.number(key); !value.is_null())
            require(value == 0, "metadata 'llama.{}' is {}: mixtures of experts are not supported", key,
                    value.dump());
    const std::string layout = metadata.string("tensor_data_layout", "Meta AI original pth");
    require(layout == "Meta AI original pth", "metadata 'llama.tensor_data_layout' is '{}': not supported",
            layout);
    metadata.refuse_the_rest();
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
