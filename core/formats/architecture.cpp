#include "core/formats/architecture.hpp"

#include "core/base/error.hpp"
#include "core/formats/config_keys.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace jlcm {

const Architecture& architecture_of(const nlohmann::json& config) {
    static const std::array all{&bert_architecture, &gpt2_architecture, &llama_architecture,
                                &opt_architecture, &qwen2_architecture};
    require(config.is_object(), "the configuration is not a JSON object");
    const std::string type = config_text(config, "model_type", "");
    const auto found = std::ranges::find(all, type, &Architecture::model_type);
    if (found != all.end()) return **found;
    std::vector<std::string_view> names;
    for (const Architecture* each : all) names.push_back(each->model_type);
    fail("the architecture '{}' is not supported; there are {}", type, fmt::join(names, ", "));
}

TransformerConfig transformer_with_learned_positions(std::int64_t hidden_size, std::int64_t heads) {
    TransformerConfig result;
    result.hidden_size = hidden_size;
    result.query_heads = result.key_heads = heads;
    result.head_dim = hidden_size / heads;
    result.norm = NormKind::layer;
    result.rotary = false;
    result.query_bias = result.output_bias = result.mlp_bias = true;
    result.gated = false;
    return result;
}

TransformerConfig transformer_config(const nlohmann::json& config) {
    return architecture_of(config).lower(config);
}

std::vector<TensorInfo> model_tensors(const nlohmann::json& config) {
    std::vector<TensorInfo> result;
    const Graph graph = build_transformer(transformer_config(config));
    for (const Parameter& parameter : graph.parameters())
        if (parameter.tied_to < 0) result.push_back({parameter.name, parameter.shape});
    return result;
}

std::vector<FileTensor> file_tensors(const nlohmann::json& config) {
    std::vector<FileTensor> result;
    for (const TensorInfo& info : model_tensors(config)) result.push_back({.info = info, .parts = {info}});
    if (const Architecture& architecture = architecture_of(config); architecture.join != nullptr)
        architecture.join(result);
    return result;
}

void check_tensors(const nlohmann::json& config, const std::map<std::string, StoredTensor>& tensors) {
    std::set<std::string> known;
    for (const auto& one : model_tensors(config)) {
        known.insert(one.name);
        const auto found = tensors.find(one.name);
        require(found != tensors.end(), "the tensor '{}' of shape {} is missing", one.name,
                to_string(one.shape));
        require(found->second.shape == one.shape, "tensor '{}' has shape {}: expected {}", one.name,
                to_string(found->second.shape), to_string(one.shape));
        const Encoding encoding = found->second.encoding;
        require(encoding != Encoding::u8 && encoding != Encoding::i32,
                "tensor '{}' holds {} integers, not weights", one.name, name_of(encoding));
    }
    for (const auto& [name, tensor] : tensors)
        require(known.contains(name),
                "the tensor '{}' of shape {} is not part of a {} model of this configuration", name,
                to_string(tensor.shape), config.at("model_type").get<std::string>());
}

}  // namespace jlcm
