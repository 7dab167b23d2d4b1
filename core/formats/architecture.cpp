#include "core/formats/architecture.hpp"

#include "core/base/error.hpp"
#include "core/formats/config_keys.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace jlcm {

const Architecture& architecture_of(const nlohmann::json& config) {
    static const std::array all{&bert_architecture,    &gemma2_architecture,   &gemma3_architecture,
                                &gpt2_architecture,    &gpt_neox_architecture, &llama_architecture,
                                &mistral_architecture, &mixtral_architecture,  &olmo2_architecture,
                                &opt_architecture,     &phi3_architecture,     &qwen2_architecture,
                                &qwen3_architecture,   &qwen3_moe_architecture};
    require(config.is_object(), "the configuration is not a JSON object");
    std::vector<std::string_view> names;
    for (const Architecture* each : all) names.push_back(each->model_type);
    const std::string list = fmt::format("{}", fmt::join(names, ", "));
    require(has_key(config, "model_type"), "'model_type' is missing: expected one of {}", list);
    const nlohmann::json& type = config.at("model_type");
    require(type.is_string(), "'model_type' is {}: expected one of {}", type.dump(), list);
    const auto found = std::ranges::find(all, type.get_ref<const std::string&>(), &Architecture::model_type);
    if (found != all.end()) return **found;
    fail("the architecture '{}' is not supported; there are {}. A model without text can come as ONNX",
         type.get_ref<const std::string&>(), list);
}

nlohmann::json complete_config(nlohmann::json config) {
    ProblemList problems;
    const Architecture& architecture = architecture_of(config);
    ConfigReader reader(config, problems);
    if (reader.has("quantization_config"))
        reader.problem(
            "weights quantised by 'quantization_config' cannot be read; take the model's "
            "original in F32, F16 or BF16");
    architecture.complete(reader);
    throw_together(problems);
    return config;
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
    return architecture_of(config).lower(complete_config(config));
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
    const Architecture& architecture = architecture_of(config);
    if (architecture.fused != nullptr) join(result, architecture.fused(config));
    for (FileTensor& tensor : result) {
        tensor.turned = architecture.is_turned != nullptr && architecture.is_turned(tensor.info.name);
        if (tensor.turned) std::swap(tensor.info.shape[0], tensor.info.shape[1]);
    }
    return result;
}

void arrange(Checkpoint& checkpoint) {
    const Architecture& architecture = architecture_of(checkpoint.config);
    if (architecture.is_turned != nullptr)
        for (auto& [name, tensor] : checkpoint.tensors)
            if (architecture.is_turned(name)) tensor = transposed(tensor, checkpoint);
    if (architecture.fused != nullptr) cut(checkpoint, architecture.fused(checkpoint.config));
}

void check_tensors(const nlohmann::json& config, const std::map<std::string, StoredTensor>& tensors) {
    ProblemList problems;
    const auto report = [&]<class... Args>(fmt::format_string<Args...> format, Args&&... args) {
        problems.add({}, fmt::format(format, std::forward<Args>(args)...));
    };
    std::set<std::string> known;
    for (const auto& one : model_tensors(config)) {
        known.insert(one.name);
        const auto found = tensors.find(one.name);
        if (found == tensors.end()) {
            report(
                "the tensor '{}' of shape {} is missing; configuration and weights have to be of one model",
                one.name, to_string(one.shape));
            continue;
        }
        if (found->second.shape != one.shape)
            report("tensor '{}' has shape {}: expected {}", one.name, to_string(found->second.shape),
                   to_string(one.shape));
        const Encoding encoding = found->second.encoding;
        if (encoding == Encoding::u8 || encoding == Encoding::i32)
            report("tensor '{}' holds {} integers, not weights", one.name, name_of(encoding));
    }
    for (const auto& [name, tensor] : tensors)
        if (!known.contains(name))
            report(
                "the tensor '{}' of shape {} is not part of a {} model of this configuration; the "
                "two have to be of one model",
                name, to_string(tensor.shape), config.at("model_type").get<std::string>());
    throw_together(problems);
}

}  // namespace jlcm
