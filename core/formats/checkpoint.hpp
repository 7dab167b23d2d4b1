#pragma once
// A language model on disk, whatever the format of its files: Hugging Face's configuration keys and tensor
// names, weights as they are encoded.

#include "core/base/json.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/tensor/encoding.hpp"
#include "core/tensor/tensor.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace jlcm {

/// Where token ids come from.
struct TokenizerSource {
    /// "tokenizer.json" (Hugging Face), "sentencepiece" (the bytes of a .model file), "gguf" (a JSON object
    /// of the file's tokenizer.ggml.* keys, with their full names), or empty where the model brings none.
    std::string format;
    std::string data;
};

/// A model as its files hold it. Copies and moves are cheap, and their tensors stay valid: `owners` keeps the
/// mapped files and rearranged bytes that the tensors view.
struct Checkpoint {
    /// config.json, completed with Hugging Face's defaults: model_type, hidden_size, intermediate_size,
    /// num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, rms_norm_eps, rope_theta,
    /// rope_scaling (null, or an object with rope_type "linear" or "llama3"), max_position_embeddings,
    /// vocab_size, tie_word_embeddings, attention_bias, mlp_bias and hidden_act are always there.
    nlohmann::json config;
    /// By Hugging Face name, e.g. model.layers.0.self_attn.q_proj.weight; exactly those that `config` asks
    /// for, with the shapes that it asks for.
    std::map<std::string, StoredTensor> tensors;
    TokenizerSource tokenizer;
    /// What else the files say: "name", "license", "chat_template", "generation_config", "tokenizer_config".
    /// Of a file of which a part is taken, "left_out": {"outputs", "nodes", "weights", "bytes", "tensors"}.
    nlohmann::json extra = nlohmann::json::object();
    std::string description;  ///< e.g. "GGUF v3, Q4_1, F32, Q8_0"
    /// SHA-256 of a GGUF file; of a folder, of the lines "<sha256>  <file name>\n" of the files read, by
    /// name.
    std::string sha256;
    std::vector<std::shared_ptr<const void>> owners;

    /// The tensor of that name; an input error where there is none.
    [[nodiscard]] const StoredTensor& tensor(const std::string& name) const;
};

/// A GGUF file of the llama architecture. The rows of query and key projections, which GGUF interleaves for
/// rotary embedding, are put into Hugging Face's order (still encoded). Input errors name what is missing,
/// unexpected or not supported.
[[nodiscard]] Checkpoint read_gguf_checkpoint(const std::filesystem::path& path);

/// A Hugging Face folder: config.json, model.safetensors or the shards of model.safetensors.index.json, and
/// tokenizer.json or tokenizer.model (which is preferred where tokenizer.json is only its translation: a BPE
/// with byte fallback). Buffers that the model doesn't need are left out.
[[nodiscard]] Checkpoint read_huggingface_checkpoint(const std::filesystem::path& directory);

/// What is wanted of a model that leaves a choice.
struct ReadOptions {
    std::vector<OutputChoice> outputs;  ///< none: the only one
};

/// Any: a directory is a Hugging Face folder, a file *.onnx ONNX, another file GGUF.
[[nodiscard]] Checkpoint read_checkpoint(const std::filesystem::path& path, const ReadOptions& options = {});
/// An input error where outputs are chosen of a language model.
void require_no_choice(const ReadOptions& options);

}  // namespace jlcm
