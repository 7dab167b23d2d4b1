#pragma once
// Families of language models as GGUF files hold them: their metadata, their tensors' names and how these differ from
// Hugging Face's. llama.cpp, convert_hf_to_gguf.py and gguf-py.

#include "core/base/json.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/formats/gguf.hpp"
#include "core/formats/gguf_metadata.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jlcm {

/// GGUF's and Hugging Face's name, without ".weight" and ".bias".
using NamePair = std::pair<std::string_view, std::string_view>;

struct GgufFamily {
    std::string_view architecture;  ///< general.architecture
    std::string_view model_type;    ///< config.json's
    std::string_view layers;        ///< Hugging Face's prefix of a layer's number
    std::vector<NamePair> outer;
    std::vector<NamePair> layer;
    /// Hugging Face's names of one expert's matrices, for those that GGUF holds as one tensor [experts, out, in];
    /// "{}" is the expert's number.
    std::vector<NamePair> experts = {};
    /// Keys of metadata, without the architecture's name, and of config.json that mean the same, beside those that all
    /// families have.
    std::vector<NamePair> keys = {};
    bool interleaved_rows = false;  ///< of queries and keys: pairs that turn together lie side by side
    double norm_offset = 0;         ///< what GGUF has added to the weights of norms
    /// Adds to `config` what metadata say in the family's own way.
    void (*configure)(ArchitectureMetadata& metadata, const Gguf& gguf, nlohmann::json& config) = nullptr;
};

/// All that are read and written.
[[nodiscard]] const std::vector<GgufFamily>& gguf_families();
/// That of a file; an input error names the architecture and lists those there are.
[[nodiscard]] const GgufFamily& gguf_family(const Gguf& gguf);

/// The Hugging Face name of a GGUF tensor, empty if there is none.
[[nodiscard]] std::string huggingface_name(const std::string& gguf_name, const GgufFamily& family);
/// The reverse.
[[nodiscard]] std::string gguf_name(const std::string& huggingface_name, const GgufFamily& family);
/// The GGUF name of the tensor of all experts that one expert's matrix is a part of; empty if it is none.
[[nodiscard]] std::string gguf_name_of_experts(const std::string& huggingface_name, const GgufFamily& family);

/// Pairs as `GgufFamily::keys`, for every family whose configuration has the key.
[[nodiscard]] const std::vector<NamePair>& common_gguf_keys();

/// The completed configuration that the metadata of a GGUF file mean. Needs the file's tensors for what metadata leave
/// out. What is damaged or not supported is reported to `problems`, keys of the architecture that are not understood
/// among it; the result is then of no use.
[[nodiscard]] nlohmann::json config_from_gguf(const Gguf& gguf, ProblemList& problems);

/// Puts the file's tensors into the checkpoint, whose configuration is complete, as the model has them. One input
/// error names all that are unexpected.
void add_gguf_tensors(Checkpoint& checkpoint, const Gguf& gguf);

}  // namespace jlcm
