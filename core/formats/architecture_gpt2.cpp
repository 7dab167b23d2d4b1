#include "core/base/error.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/config_keys.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace jlcm {
namespace {

using nlohmann::json;

void complete(ConfigReader& config) {
    const auto width = config.integer("n_embd", 768);
    config.require_whole_heads(width, config.integer("n_head", 12));
    config.integer("n_layer", 12, most_config_layers);
    config.integer("n_inner", 4 * width);
    config.integer("vocab_size", 50257);
    config.config()["max_position_embeddings"] = config.integer("n_positions", 1024);
    config.positive("layer_norm_epsilon", 1e-5);
    config.require_flag("scale_attn_weights", true, "choose a model with the usual scores of attention");
    config.require_flag("scale_attn_by_inverse_layer_idx", false,
                        "choose a model with the usual scores of attention");
    config.require_flag("add_cross_attention", false, "only decoders are read");
    config.flag("tie_word_embeddings", true);
    config.one_of("activation_function", {"gelu_new", "gelu_pytorch_tanh"},
                  "choose a model with one of these");
}

TransformerConfig lower(const json& config) {
    TransformerConfig result = transformer_with_learned_positions(config.at("n_embd"), config.at("n_head"));
    result.intermediate_size = config.at("n_inner");
    result.layers = config.at("n_layer");
    result.vocabulary = config.at("vocab_size");
    result.norm_epsilon = config.at("layer_norm_epsilon");
    result.position_rows = config.at("n_positions");
    result.activation = Unary::gelu_tanh;
    result.tied_head = config.at("tie_word_embeddings");
    TransformerNames& names = result.names;
    names.tokens = "transformer.wte";
    names.positions = "transformer.wpe";
    names.layers = "transformer.h";
    names.attention_norm = "ln_1";
    names.query = "attn.c_attn.query";
    names.key = "attn.c_attn.key";
    names.value = "attn.c_attn.value";
    names.output = "attn.c_proj";
    names.mlp_norm = "ln_2";
    names.up = "mlp.c_fc";
    names.down = "mlp.c_proj";
    names.final_norm = "transformer.ln_f";
    return result;
}

/// Without the causal mask that old files hold.
std::string name_in_model(const std::string& stored, const json& config) {
    if (stored == "lm_head.weight") return config.at("tie_word_embeddings").get<bool>() ? "" : stored;
    if (stored.ends_with(".attn.bias") || stored.ends_with(".attn.masked_bias")) return "";
    return stored.starts_with("transformer.") ? stored : "transformer." + stored;
}

/// Whether Transformers' Conv1D holds this weight: [inputs, outputs].
bool is_turned(const std::string& name) {
    for (const char* end : {".c_attn.weight", ".c_proj.weight", ".c_fc.weight"})
        if (name.ends_with(end)) return true;
    return false;
}

StoredTensor transposed(const StoredTensor& stored, Checkpoint& checkpoint) {
    require(stored.shape.size() == 2 && block_values(stored.encoding) == 1,
            "tensor '{}' of shape {} and type {} cannot be transposed", stored.name, to_string(stored.shape),
            name_of(stored.encoding));
    const auto rows = static_cast<std::size_t>(stored.shape[0]);
    const auto columns = static_cast<std::size_t>(stored.shape[1]);
    const std::size_t size = block_bytes(stored.encoding);
    std::vector<std::byte> bytes(stored.bytes.size());
    for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t column = 0; column < columns; ++column)
            std::memcpy(bytes.data() + (column * rows + row) * size,
                        stored.bytes.data() + (row * columns + column) * size, size);
    const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    checkpoint.owners.push_back(owner);
    StoredTensor result = stored;
    result.shape = {stored.shape[1], stored.shape[0]};
    result.bytes = *owner;
    return result;
}

/// Queries, keys and values of one tensor whose rows they share.
std::array<StoredTensor, 3> thirds(const StoredTensor& stored, std::string_view kind) {
    require(!stored.shape.empty() && stored.rows() % 3 == 0,
            "tensor '{}' does not hold queries, keys and values", stored.name);
    const std::string stem = stored.name.substr(0, stored.name.size() - kind.size());
    const std::size_t bytes = stored.bytes.size() / 3;
    std::array<StoredTensor, 3> parts{stored, stored, stored};
    constexpr std::array names{"query", "key", "value"};
    for (std::size_t i = 0; i < 3; ++i) {
        parts.at(i).name = stem + "." + names.at(i) + std::string(kind);
        parts.at(i).shape[0] = stored.rows() / 3;
        parts.at(i).bytes = stored.bytes.subspan(i * bytes, bytes);
    }
    return parts;
}

void arrange(Checkpoint& checkpoint) {
    std::map<std::string, StoredTensor> arranged;
    for (const auto& [name, given] : checkpoint.tensors) {
        const StoredTensor tensor = is_turned(name) ? transposed(given, checkpoint) : given;
        const bool is_weight = name.ends_with(".c_attn.weight");
        if (is_weight || name.ends_with(".c_attn.bias")) {
            for (StoredTensor& part : thirds(tensor, is_weight ? ".weight" : ".bias")) {
                const std::string part_name = part.name;
                arranged.emplace(part_name, std::move(part));
            }
        } else {
            arranged.emplace(name, tensor);
        }
    }
    checkpoint.tensors = std::move(arranged);
}

/// Queries, keys and values stand one behind the other in the order of the model's tensors.
void join(std::vector<FileTensor>& tensors) {
    std::vector<FileTensor> joined;
    for (FileTensor& tensor : tensors) {
        std::string& name = tensor.info.name;
        const std::size_t part = name.find(".c_attn.");
        if (part != std::string::npos) {
            name = name.substr(0, part) + ".c_attn" + name.substr(name.rfind('.'));
            const auto same = std::ranges::find_if(
                joined, [&](const FileTensor& other) { return other.info.name == name; });
            if (same != joined.end()) {
                same->info.shape.back() += tensor.info.shape.front();
                same->parts.push_back(std::move(tensor.parts.front()));
                continue;
            }
        }
        tensor.turned = is_turned(name);
        if (tensor.turned) std::swap(tensor.info.shape[0], tensor.info.shape[1]);
        joined.push_back(std::move(tensor));
    }
    tensors = std::move(joined);
}

}  // namespace

const Architecture gpt2_architecture{"gpt2", complete, lower, name_in_model, arrange, join};

}  // namespace jlcm
