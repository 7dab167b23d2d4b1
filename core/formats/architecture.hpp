#pragma once
// Families of Hugging Face's language models: what is known of each by config.json's model_type. Behind this
// there are only graphs.

#include "core/formats/checkpoint.hpp"
#include "core/formats/config_keys.hpp"
#include "core/graph/transformer.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// A tensor as Hugging Face's files hold it: the model's tensors `parts` one below the other, [inputs,
/// outputs] where `turned`.
struct FileTensor {
    TensorInfo info;
    std::vector<TensorInfo> parts;
    bool turned = false;
};

struct Architecture {
    std::string_view model_type;
    /// Fills in Hugging Face's defaults and checks every value; what jlcm can't run is a problem.
    void (*complete)(ConfigReader& config) = nullptr;
    /// What a completed configuration means.
    TransformerConfig (*lower)(const nlohmann::json& config) = nullptr;
    /// The model's name for a tensor of the files; empty: the model does without it.
    std::string (*name)(const std::string& stored, const nlohmann::json& config) = nullptr;
    /// Cuts and turns tensors that the files hold differently; null: there are none.
    void (*arrange)(Checkpoint& checkpoint) = nullptr;
    /// The reverse for tensors that are written, which stand for themselves before; null: they do.
    void (*join)(std::vector<FileTensor>& tensors) = nullptr;
};

/// What GPT-2, OPT and BERT have in common: layer norms, learned positions in place of rotary ones, as many
/// key heads as query heads, biases everywhere, no gate. The families fill in the rest.
[[nodiscard]] TransformerConfig transformer_with_learned_positions(std::int64_t hidden_size,
                                                                   std::int64_t heads);

/// That of a config.json; an input error names the model_type and lists those there are.
[[nodiscard]] const Architecture& architecture_of(const nlohmann::json& config);

/// config.json with Hugging Face's defaults filled in. One input error names every value that is damaged or
/// not supported. A completed configuration stays as it is.
[[nodiscard]] nlohmann::json complete_config(nlohmann::json config);

/// What a configuration means. Errors as for `complete_config`.
[[nodiscard]] TransformerConfig transformer_config(const nlohmann::json& config);

/// The tensors that a completed configuration asks for: names and shapes, in the order of the layers.
[[nodiscard]] std::vector<TensorInfo> model_tensors(const nlohmann::json& config);

/// The same as Hugging Face's files hold them.
[[nodiscard]] std::vector<FileTensor> file_tensors(const nlohmann::json& config);

/// Checks that `tensors` are those of the configuration; an input error names all that are missing,
/// unexpected, of another shape or no weights.
void check_tensors(const nlohmann::json& config, const std::map<std::string, StoredTensor>& tensors);

/// Radford et al., "Language models are unsupervised multitask learners", 2019. The folder's [inputs,
/// outputs] weights are turned, and the one that makes queries, keys and values is cut in three.
extern const Architecture gpt2_architecture;
/// Zhang et al., "OPT", 2022; without the projections and the norms behind sums of the 350M model.
extern const Architecture opt_architecture;
/// Yang et al., "Qwen2", 2024, without sliding windows.
extern const Architecture qwen2_architecture;
/// Touvron et al., "LLaMA", 2023.
extern const Architecture llama_architecture;
/// Devlin et al., "BERT", 2018: the encoder, without pooler and heads.
extern const Architecture bert_architecture;

}  // namespace jlcm
