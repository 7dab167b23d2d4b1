#include "core/formats/gguf_families.hpp"

#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/llama.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace jlcm {
namespace {

using nlohmann::json;

/// The value, if the file has it, under the configuration's key. A window of 0 tokens means none.
void carry(ArchitectureMetadata& metadata, std::string_view key, json& config, std::string_view name) {
    json value = metadata.number(std::string(key));
    if (value.is_null()) return;
    if (name == "sliding_window" && value == 0) value = nullptr;
    config[std::string(name)] = std::move(value);
}

bool has_tensor(const Gguf& gguf, std::string_view name) {
    return find_tensor(gguf, name) != nullptr;
}

/// A size of a configuration that is not checked yet; 0 if it is none.
std::int64_t size_in(const json& config, const char* key) {
    if (!config.contains(key)) return 0;
    const json& value = config.at(key);
    const bool is_size = value.is_number_integer() && value > 0 && value <= largest_config_size;
    return is_size ? value.get<std::int64_t>() : 0;
}

json shared_head_dim(const json& config) {
    const std::int64_t width = size_in(config, "hidden_size");
    const std::int64_t heads = size_in(config, "num_attention_heads");
    return width > 0 && heads > 0 ? json(width / heads) : json();
}

// ---- families

void configure_llama(ArchitectureMetadata& /*metadata*/, const Gguf& gguf, json& config) {
    config["attention_bias"] = has_tensor(gguf, "blk.0.attn_q.bias");
    config["mlp_bias"] = has_tensor(gguf, "blk.0.ffn_gate.bias");
}

void configure_mixtral(ArchitectureMetadata& /*metadata*/, const Gguf& /*gguf*/, json& config) {
    config["sliding_window"] = nullptr;
}

/// Without one of its own a head's width is its share.
void configure_qwen3(ArchitectureMetadata& /*metadata*/, const Gguf& gguf, json& config) {
    if (!config.contains("head_dim")) config["head_dim"] = shared_head_dim(config);
    config["attention_bias"] = has_tensor(gguf, "blk.0.attn_q.bias");
}

/// llama.cpp's graph makes the weights of the chosen sum to one.
void configure_qwen3_moe(ArchitectureMetadata& metadata, const Gguf& gguf, json& config) {
    configure_qwen3(metadata, gguf, config);
    if (!config.contains("intermediate_size") && config.contains("moe_intermediate_size"))
        config["intermediate_size"] = config["moe_intermediate_size"];
    config["norm_topk_prob"] = true;
}

/// The scale of scores is no metadata: llama.cpp tells by the number of layers.
void configure_gemma(json& config, std::int64_t largest_layers) {
    config["hidden_activation"] = "gelu_pytorch_tanh";
    // Without a window all layers are global.
    if (config.contains("sliding_window") && !has_key(config, "sliding_window"))
        config["sliding_window_pattern"] = 1;
    const std::int64_t heads = size_in(config, "num_attention_heads");
    const bool is_largest = size_in(config, "num_hidden_layers") == largest_layers && heads > 0;
    const std::int64_t width =
        is_largest ? size_in(config, "hidden_size") / heads : size_in(config, "head_dim");
    if (width > 0) config["query_pre_attn_scalar"] = width;
}

void configure_gemma2(ArchitectureMetadata& /*metadata*/, const Gguf& /*gguf*/, json& config) {
    configure_gemma(config, 46);
}

void configure_gemma3(ArchitectureMetadata& /*metadata*/, const Gguf& /*gguf*/, json& config) {
    configure_gemma(config, 62);
}

/// Of a head that turns in part: by which share.
void carry_turned(ArchitectureMetadata& metadata, json& config, const char* name, const json& head_dim) {
    const json turned = metadata.number("rope.dimension_count");
    if (turned.is_number_integer() && head_dim.is_number_integer() && head_dim > 0)
        config[name] = turned.get<double>() / head_dim.get<double>();
}

json factors_of(const Gguf& gguf, const char* name) {
    const StoredTensor* stored = find_tensor(gguf, name);
    json list = json::array();
    if (stored == nullptr) return list;
    const Tensor values = decode(*stored);
    for (const float each : values.values<float>()) list.push_back(shortest(each));
    return list;
}

/// llama.cpp's defaults are those of a file that leaves the keys out, not Hugging Face's.
void configure_phi3(ArchitectureMetadata& metadata, const Gguf& gguf, json& config) {
    carry_turned(metadata, config, "partial_rotary_factor",
                 config.contains("head_dim") ? config.at("head_dim") : shared_head_dim(config));
    if (has_key(config, "max_position_embeddings") && !config.contains("original_max_position_embeddings"))
        config["original_max_position_embeddings"] = config["max_position_embeddings"];
    const json given = metadata.number("rope.scaling.attn_factor");
    const json magnitude = given.is_null() ? json(1.0) : given;
    if (!has_tensor(gguf, "rope_factors_long.weight")) {
        if (magnitude != 1.0)
            metadata.problem("metadata '{}' is {} without 'rope_factors_long.weight': not supported",
                             metadata.full("rope.scaling.attn_factor"), magnitude.dump());
        return;
    }
    config["rope_scaling"] = {{"type", "longrope"},
                              {"short_factor", factors_of(gguf, "rope_factors_short.weight")},
                              {"long_factor", factors_of(gguf, "rope_factors_long.weight")},
                              {"attention_factor", magnitude}};
}

void configure_gpt_neox(ArchitectureMetadata& metadata, const Gguf& gguf, json& config) {
    config["hidden_act"] = "gelu";
    carry_turned(metadata, config, "rotary_pct", shared_head_dim(config));
    config["rotary_emb_base"] = config["rope_theta"];
    config["use_parallel_residual"] = metadata.flag("use_parallel_residual", true);
    config["attention_bias"] = has_tensor(gguf, "blk.0.attn_qkv.bias");
}

void configure_olmo2(ArchitectureMetadata& /*metadata*/, const Gguf& gguf, json& config) {
    config["attention_bias"] = has_tensor(gguf, "blk.0.attn_q.bias");
}

// ---- names

const std::vector<NamePair>& outer_names() {
    static const std::vector<NamePair> names{
        {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};
    return names;
}

/// Those of Llama's layers, and more.
std::vector<NamePair> layer_names(const std::vector<NamePair>& more = {}) {
    std::vector<NamePair> names{
        {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
        {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
        {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
        {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
        {"ffn_down", "mlp.down_proj"},
    };
    for (const NamePair& each : more) {
        std::erase_if(names, [&](const NamePair& old) { return old.first == each.first; });
        names.push_back(each);
    }
    return names;
}

const std::vector<NamePair> head_norms{{"attn_q_norm", "self_attn.q_norm"},
                                       {"attn_k_norm", "self_attn.k_norm"}};
const std::vector<NamePair> post_norms{{"post_attention_norm", "post_attention_layernorm"},
                                       {"post_ffw_norm", "post_feedforward_layernorm"}};

std::vector<NamePair> all_of(std::vector<NamePair> names, const std::vector<NamePair>& more) {
    names.insert(names.end(), more.begin(), more.end());
    return names;
}

std::vector<NamePair> experts_keys(std::string_view count) {
    return {{"expert_count", count}, {"expert_used_count", "num_experts_per_tok"}};
}

}  // namespace

const std::vector<GgufFamily>& gguf_families() {
    static const std::string_view layers = "model.layers.";
    static const std::vector<GgufFamily> all{
        {"llama", "llama", layers, outer_names(), layer_names(), {}, {}, true, 0, configure_llama},
        {"llama",
         "mixtral",
         layers,
         outer_names(),
         layer_names({{"ffn_gate_inp", "block_sparse_moe.gate"}}),
         {{"ffn_gate_exps", "block_sparse_moe.experts.{}.w1"},
          {"ffn_up_exps", "block_sparse_moe.experts.{}.w3"},
          {"ffn_down_exps", "block_sparse_moe.experts.{}.w2"}},
         experts_keys("num_local_experts"),
         true,
         0,
         configure_mixtral},
        {"qwen2", "qwen2", layers, outer_names(), layer_names(), {}, {}, false, 0, nullptr},
        {"qwen3", "qwen3", layers, outer_names(), layer_names(head_norms), {}, {}, false, 0, configure_qwen3},
        {"qwen3moe",
         "qwen3_moe",
         layers,
         outer_names(),
         layer_names(all_of(head_norms, {{"ffn_gate_inp", "mlp.gate"}})),
         {{"ffn_gate_exps", "mlp.experts.{}.gate_proj"},
          {"ffn_up_exps", "mlp.experts.{}.up_proj"},
          {"ffn_down_exps", "mlp.experts.{}.down_proj"}},
         all_of(experts_keys("num_experts"), {{"expert_feed_forward_length", "moe_intermediate_size"}}),
         false,
         0,
         configure_qwen3_moe},
        {"gemma2",
         "gemma2",
         layers,
         outer_names(),
         layer_names(all_of(post_norms, {{"ffn_norm", "pre_feedforward_layernorm"}})),
         {},
         {{"attention.sliding_window", "sliding_window"},
          {"attn_logit_softcapping", "attn_logit_softcapping"},
          {"final_logit_softcapping", "final_logit_softcapping"}},
         false,
         1,
         configure_gemma2},
        {"gemma3",
         "gemma3_text",
         layers,
         outer_names(),
         layer_names(all_of(all_of(post_norms, head_norms), {{"ffn_norm", "pre_feedforward_layernorm"}})),
         {},
         {{"attention.sliding_window", "sliding_window"},
          {"attention.sliding_window_pattern", "sliding_window_pattern"},
          {"final_logit_softcapping", "final_logit_softcapping"},
          {"rope.freq_base_swa", "rope_local_base_freq"}},
         false,
         1,
         configure_gemma3},
        {"phi3",
         "phi3",
         layers,
         outer_names(),
         layer_names({{"attn_qkv", "self_attn.qkv_proj"}, {"ffn_up", "mlp.gate_up_proj"}}),
         {},
         {{"attention.sliding_window", "sliding_window"},
          {"rope.scaling.original_context_length", "original_max_position_embeddings"}},
         false,
         0,
         configure_phi3},
        {"gptneox",
         "gpt_neox",
         "gpt_neox.layers.",
         {{"token_embd", "gpt_neox.embed_in"},
          {"output_norm", "gpt_neox.final_layer_norm"},
          {"output", "embed_out"}},
         {{"attn_norm", "input_layernorm"},
          {"attn_qkv", "attention.query_key_value"},
          {"attn_output", "attention.dense"},
          {"ffn_norm", "post_attention_layernorm"},
          {"ffn_up", "mlp.dense_h_to_4h"},
          {"ffn_down", "mlp.dense_4h_to_h"}},
         {},
         {{"attention.layer_norm_epsilon", "layer_norm_eps"}},
         false,
         0,
         configure_gpt_neox},
        {"olmo2",
         "olmo2",
         layers,
         outer_names(),
         layer_names(all_of(post_norms, head_norms)),
         {},
         {},
         false,
         0,
         configure_olmo2},
        {"gpt2",
         "gpt2",
         "transformer.h.",
         {{"token_embd", "transformer.wte"},
          {"position_embd", "transformer.wpe"},
          {"output_norm", "transformer.ln_f"},
          {"output", "lm_head"}},
         {{"attn_norm", "ln_1"},
          {"attn_qkv", "attn.c_attn"},
          {"attn_output", "attn.c_proj"},
          {"ffn_norm", "ln_2"},
          {"ffn_up", "mlp.c_fc"},
          {"ffn_down", "mlp.c_proj"}},
         {},
         {{"block_count", "n_layer"},
          {"context_length", "n_positions"},
          {"embedding_length", "n_embd"},
          {"feed_forward_length", "n_inner"},
          {"attention.head_count", "n_head"},
          {"attention.layer_norm_epsilon", "layer_norm_epsilon"}},
         false,
         0,
         nullptr},
    };
    return all;
}

namespace {

/// "PREFIX12.rest" as {"12", "rest"}; nothing if `name` is not of that form.
std::optional<std::pair<std::string, std::string>> split_layer(const std::string& name,
                                                               std::string_view prefix) {
    if (!name.starts_with(prefix)) return std::nullopt;
    const auto end = name.find('.', prefix.size());
    if (end == std::string::npos || end == prefix.size()) return std::nullopt;
    std::string layer = name.substr(prefix.size(), end - prefix.size());
    if (layer.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
    return std::pair{std::move(layer), name.substr(end + 1)};
}

/// "stem.weight" or "stem.bias" as {stem, ".weight"}; nothing for other names.
std::optional<std::pair<std::string, std::string>> split_kind(const std::string& name) {
    for (const std::string kind : {".weight", ".bias"})
        if (name.ends_with(kind)) return std::pair{name.substr(0, name.size() - kind.size()), kind};
    return std::nullopt;
}

constexpr std::string_view gguf_prefix = "blk.";

/// The other name of a pair; empty if none has this one.
template <auto from, auto to>
std::string other(const std::vector<NamePair>& names, const std::string& stem) {
    const auto found = std::ranges::find(names, stem, from);
    return found == names.end() ? "" : std::string((*found).*to);
}

/// A tensor's name on the other side. `own_layers`, `other_layers`: what stands in front of a layer's number.
template <auto from, auto to>
std::string renamed(const std::string& name, const GgufFamily& family, std::string_view own_layers,
                    std::string_view other_layers) {
    const auto kind = split_kind(name);
    if (!kind) return {};
    if (const auto outer = other<from, to>(family.outer, kind->first); !outer.empty())
        return outer + kind->second;
    const auto layer = split_layer(kind->first, own_layers);
    if (!layer) return {};
    const auto stem = other<from, to>(family.layer, layer->second);
    return stem.empty() ? "" : fmt::format("{}{}.{}{}", other_layers, layer->first, stem, kind->second);
}

// ---- tensors

/// The matrices of a tensor of all experts; none if it is no such tensor.
std::vector<StoredTensor> matrices_of_experts(const StoredTensor& stored, const GgufFamily& family) {
    const auto layer = split_layer(stored.name, gguf_prefix);
    if (!layer) return {};
    const auto kind = split_kind(layer->second);
    if (!kind) return {};
    const std::string pattern = other<&NamePair::first, &NamePair::second>(family.experts, kind->first);
    if (pattern.empty()) return {};
    require(stored.shape.size() == 3, "tensor '{}' of shape {} does not hold one matrix per expert",
            stored.name, to_string(stored.shape));
    const auto count = static_cast<std::size_t>(stored.shape[0]);
    std::vector<StoredTensor> matrices;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t bytes = stored.bytes.size() / count;
        StoredTensor one = stored;
        one.name = fmt::format("{}{}.{}{}", family.layers, layer->first,
                               fmt::format(fmt::runtime(pattern), i), kind->second);
        one.shape = {stored.shape[1], stored.shape[2]};
        one.bytes = stored.bytes.subspan(i * bytes, bytes);
        matrices.push_back(std::move(one));
    }
    return matrices;
}

/// Tensors that say what the configuration now says.
bool is_configuration(const std::string& name) {
    return name == rotary_factors_name || name.starts_with("rope_factors_");
}

StoredTensor less(const StoredTensor& stored, double offset, Checkpoint& checkpoint) {
    Tensor values = decode(stored).clone();
    for (float& value : values.values<float>()) value -= static_cast<float>(offset);
    StoredTensor result = stored;
    result.encoding = Encoding::f32;
    const auto bytes = values.bytes();
    result.bytes = kept({bytes.begin(), bytes.end()}, checkpoint);
    return result;
}

}  // namespace

const GgufFamily& gguf_family(const Gguf& gguf) {
    const auto architecture = gguf.metadata.find("general.architecture");
    require(architecture != gguf.metadata.end() && architecture->second.type == GgufType::string,
            "the metadata lacks 'general.architecture': no file of a model, or not its first part");
    const auto name = architecture->second.value.get<std::string>();
    const auto experts = gguf.metadata.find(name + ".expert_count");
    const bool has_experts = experts != gguf.metadata.end() && experts->second.value != 0;
    std::vector<std::string_view> known;
    for (const GgufFamily& family : gguf_families()) {
        const bool fits = name != "llama" || has_experts == !family.experts.empty();
        if (family.architecture == name && fits) return family;
        if (known.empty() || known.back() != family.architecture) known.push_back(family.architecture);
    }
    fail("the architecture '{}' is not supported in GGUF, only {}; try the model's Hugging Face folder", name,
         fmt::join(known, ", "));
}

std::string huggingface_name(const std::string& gguf_name, const GgufFamily& family) {
    return renamed<&NamePair::first, &NamePair::second>(gguf_name, family, gguf_prefix, family.layers);
}

std::string gguf_name(const std::string& huggingface_name, const GgufFamily& family) {
    return renamed<&NamePair::second, &NamePair::first>(huggingface_name, family, family.layers, gguf_prefix);
}

std::string gguf_name_of_experts(const std::string& huggingface_name, const GgufFamily& family) {
    const auto kind = split_kind(huggingface_name);
    if (!kind) return {};
    const auto layer = split_layer(kind->first, family.layers);
    if (!layer) return {};
    for (const auto& [stem, pattern] : family.experts) {
        const std::size_t number = pattern.find("{}");
        const std::string_view front = pattern.substr(0, number);
        const std::string_view back = pattern.substr(number + 2);
        if (layer->second.starts_with(front) && layer->second.ends_with(back))
            return fmt::format("{}{}.{}{}", gguf_prefix, layer->first, stem, kind->second);
    }
    return {};
}

const std::vector<NamePair>& common_gguf_keys() {
    static const std::vector<NamePair> keys{
        {"block_count", "num_hidden_layers"},
        {"context_length", "max_position_embeddings"},
        {"embedding_length", "hidden_size"},
        {"feed_forward_length", "intermediate_size"},
        {"attention.head_count", "num_attention_heads"},
        {"attention.head_count_kv", "num_key_value_heads"},
        {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
        {"attention.key_length", "head_dim"},
        {"rope.freq_base", "rope_theta"},
    };
    return keys;
}

json config_from_gguf(const Gguf& gguf, ProblemList& problems) {
    const GgufFamily& family = gguf_family(gguf);
    ArchitectureMetadata metadata(gguf, std::string(family.architecture), problems);
    json config{{"model_type", family.model_type}};
    if (family.model_type == "llama") config["architectures"] = {"LlamaForCausalLM"};
    config["rope_theta"] = 10000.0;                               // llama.cpp's default for all families
    for (const auto* keys : {&family.keys, &common_gguf_keys()})  // a key is taken once
        for (const auto& [gguf_key, key] : *keys) carry(metadata, gguf_key, config, key);
    const json vocabulary = metadata.number("vocab_size");
    if (const auto* embedding = find_tensor(gguf, "token_embd.weight"); embedding != nullptr) {
        config["vocab_size"] = embedding->rows();
        if (!vocabulary.is_null() && vocabulary != config["vocab_size"])
            metadata.problem("metadata '{}' is {}, but 'token_embd.weight' has {} rows",
                             metadata.full("vocab_size"), vocabulary.dump(), embedding->rows());
    } else {
        metadata.problem("the tensor 'token_embd.weight' is missing");
        config["vocab_size"] = 1;
    }
    config["tie_word_embeddings"] = !has_tensor(gguf, "output.weight");
    for (const auto& [from, to] : {std::pair{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                   {"tokenizer.ggml.eos_token_id", "eos_token_id"},
                                   {"tokenizer.ggml.padding_token_id", "pad_token_id"}})
        if (const auto found = gguf.metadata.find(from); found != gguf.metadata.end())
            config[to] = found->second.value;  // checked with the tokenizer
    if (family.configure != nullptr) family.configure(metadata, gguf, config);

    const std::size_t before = problems.count();
    const Architecture& architecture = architecture_of(config);
    ConfigReader reader(config, problems);
    architecture.complete(reader);
    const json head_dim = config.contains("head_dim") ? config.at("head_dim") : shared_head_dim(config);
    for (const auto* key : {"attention.value_length", "rope.dimension_count"})
        if (const json value = metadata.number(key);
            !value.is_null() && problems.count() == before && value != head_dim)
            metadata.problem("metadata '{}' is {}, but a head has {} values: not supported",
                             metadata.full(key), value.dump(), head_dim.dump());
    if (!has_key(config, "rope_scaling")) {
        config.erase("rope_scaling");
        add_rope_scaling(metadata, gguf, config);
    }
    for (const auto* key : {"expert_count", "expert_used_count"})
        if (const json value = metadata.number(key); !value.is_null() && value != 0)
            metadata.problem(
                "metadata '{}' is {}: mixtures of experts are not supported here; choose a model without",
                metadata.full(key), value.dump());
    const std::string layout = metadata.string("tensor_data_layout", "Meta AI original pth");
    if (layout != "Meta AI original pth" && family.architecture == "llama")
        metadata.problem("metadata '{}' is '{}': not supported; convert the model anew",
                         metadata.full("tensor_data_layout"), layout);
    metadata.refuse_the_rest();
    if (problems.count() == before) architecture.complete(reader);  // with the rotary scaling
    return config;
}

void add_gguf_tensors(Checkpoint& checkpoint, const Gguf& gguf) {
    const GgufFamily& family = gguf_family(gguf);
    ProblemList problems;
    for (const StoredTensor& stored : gguf.tensors) {
        if (is_configuration(stored.name)) continue;
        std::vector<StoredTensor> own = matrices_of_experts(stored, family);
        if (own.empty()) {
            own.push_back(stored);
            own.front().name = huggingface_name(stored.name, family);
        }
        for (StoredTensor& each : own) {
            if (each.name.empty())
                problems.add({},
                             fmt::format("the tensor '{}' is not part of a {} model; convert the model anew",
                                         stored.name, family.architecture));
            else if (family.norm_offset != 0 && each.name.ends_with("norm.weight"))
                each = less(each, family.norm_offset, checkpoint);
            const std::string name = each.name;
            if (!name.empty()) checkpoint.tensors.emplace(name, std::move(each));
        }
    }
    throw_together(problems);
    if (const Architecture& architecture = architecture_of(checkpoint.config);
        architecture.fused != nullptr) {
        std::vector<Fusion> fusions = architecture.fused(checkpoint.config);
        for (Fusion& fusion : fusions) fusion.heads = 1;  // queries of all heads, then keys, then values
        cut(checkpoint, fusions);
    }
    check_tensors(checkpoint.config, checkpoint.tensors);
    if (!family.interleaved_rows) return;
    const auto head_dim = checkpoint.config.at("head_dim").get<std::int64_t>();
    for (auto& [name, tensor] : checkpoint.tensors)
        if (has_rotary_rows(name))
            tensor.bytes =
                kept(permute_rows(tensor, rotary_rows_in_gguf(tensor.rows(), head_dim)), checkpoint);
}

}  // namespace jlcm
