#pragma once
// A language model on disk, whatever the format of its files: Hugging Face's configuration keys and tensor
// names, weights as they are encoded.

#include "core/backend/default_backend.hpp"
#include "core/base/json.hpp"
#include "core/graph/output_choice.hpp"
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
    /// "tokenizer.json" (see assemble_tokenizer), "sentencepiece" (the bytes of a .model file), "gguf" (a
    /// JSON object of the file's tokenizer.ggml.* keys, with full names), or empty if there is none.
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
    /// What else the files say: "name", "license", "chat_template", "chat_templates" (by name, beside
    /// that one), "generation_config", "tokenizer_config".
    /// Of a file of which a part is taken, "left_out": {"outputs", "nodes", "weights", "bytes", "tensors"}.
    nlohmann::json extra = nlohmann::json::object();
    /// A Hugging Face folder's files about text, byte for byte, by their path in it: tokenizer, chat
    /// templates, generation_config.json. Exports hold them again.
    std::map<std::string, std::string> files;
    std::string description;  ///< e.g. "GGUF v3, Q4_1, F32, Q8_0"
    /// SHA-256 of a GGUF file; of a folder or of a GGUF file's parts, of the lines "<sha256>  <file name>\n"
    /// of the files read, by name.
    std::string sha256;
    std::vector<std::shared_ptr<const void>> owners;
    /// Where extra["preprocess"] was read; empty where it was not in a file of its own.
    std::filesystem::path preprocess_file;

    /// The tensor of that name; an input error where there is none.
    [[nodiscard]] const StoredTensor& tensor(const std::string& name) const;
};

/// "Q4_1, F32, Q8_0": the tensors' encodings, those that take most bytes first.
[[nodiscard]] std::string list_encodings(const std::map<std::string, StoredTensor>& tensors);

/// A GGUF file of one of the families of gguf_families.hpp, or all parts of one that is split ("NAME-00001-of-00003.gguf"), any
/// of which names it. The rows of query and key projections, which GGUF interleaves for
/// rotary embedding, are put into Hugging Face's order (still encoded). One input error names all that is
/// missing, unexpected or not supported.
[[nodiscard]] Checkpoint read_gguf_checkpoint(const std::filesystem::path& path);

/// A Hugging Face folder: config.json, model.safetensors or the shards of model.safetensors.index.json, and
/// all files of its tokenizer, put together as AutoTokenizer does (assemble_tokenizer in
/// core/formats/tokenizer_folder.hpp). Buffers that the model doesn't need are left out.
[[nodiscard]] Checkpoint read_huggingface_checkpoint(const std::filesystem::path& directory);

/// What is wanted of a model that leaves a choice.
struct ReadOptions {
    std::vector<OutputChoice> outputs{};   ///< none: all
    Backend& backend = default_backend();  ///< for what a reader has to compute (constants of an ONNX graph)
};

/// Any: a directory is a Hugging Face folder, a file *.onnx ONNX, another file GGUF.
[[nodiscard]] Checkpoint read_checkpoint(const std::filesystem::path& path, const ReadOptions& options = {});

/// Reads files of one ending, which read_checkpoint then takes too.
using CheckpointReader = Checkpoint (*)(const std::filesystem::path& path, const ReadOptions& options);
/// Called while the program starts: ONNX needs libraries that those who only run models can do without.
void add_checkpoint_reader(const std::string& ending, CheckpointReader reader);

/// An input error where outputs are chosen of a language model.
void require_no_choice(const ReadOptions& options);

}  // namespace jlcm
