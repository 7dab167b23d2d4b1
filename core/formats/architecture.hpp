#pragma once
// Families of Hugging Face's language models: what is known of each by config.json's model_type. Behind this
// there are only graphs.

#include "core/formats/checkpoint.hpp"
#include "core/formats/config_keys.hpp"
#include "core/formats/fused_tensors.hpp"
#include "core/graph/transformer.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

struct Architecture {
    std::string_view model_type;
    /// Fills in Hugging Face's defaults and checks every value; what jlcm can't run is a problem.
    void (*complete)(ConfigReader& config) = nullptr;
    /// What a completed configuration means.
    TransformerConfig (*lower)(const nlohmann::json& config) = nullptr;
    /// The model's name for a tensor of the files; empty: the model does without it.
    std::string (*name)(const std::string& stored, const nlohmann::json& config) = nullptr;
    /// The projections that files hold as one, of a completed configuration; null: there are none.
    std::vector<Fusion> (*fused)(const nlohmann::json& config) = nullptr;
    /// Whether the files hold this matrix as [inputs, outputs]; null: none is.
    bool (*is_turned)(const std::string& stored) = nullptr;
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

/// Puts the tensors of Hugging Face's files, under the model's names, into the shapes that the model has.
void arrange(Checkpoint& checkpoint);

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
/// Yang et al., "Qwen2", 2024.
extern const Architecture qwen2_architecture;
/// "Qwen3 technical report", 2025.
extern const Architecture qwen3_architecture;
/// Jiang et al., "Mistral 7B", 2023.
extern const Architecture mistral_architecture;
/// Jiang et al., "Mixtral of experts", 2024.
extern const Architecture mixtral_architecture;
/// Qwen3's mixtures of experts.
extern const Architecture qwen3_moe_architecture;
/// "2 OLMo 2 Furious", 2025.
extern const Architecture olmo2_architecture;
/// "Gemma 2", 2024.
extern const Architecture gemma2_architecture;
/// "Gemma 3", 2025: the models of text alone.
extern const Architecture gemma3_architecture;
/// Abdin et al., "Phi-3", 2024.
extern const Architecture phi3_architecture;
/// Black et al., "GPT-NeoX-20B", 2022; Biderman et al., "Pythia", 2023.
extern const Architecture gpt_neox_architecture;
/// Touvron et al., "LLaMA", 2023.
extern const Architecture llama_architecture;
/// Devlin et al., "BERT", 2018: the encoder, without pooler and heads.
extern const Architecture bert_architecture;

}  // namespace jlcm
