#pragma once
// The llama family as files hold it: its configuration, and its names in GGUF.

#include "core/base/json.hpp"
#include "core/formats/config_keys.hpp"
#include "core/formats/gguf.hpp"
#include "core/tensor/encoding.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// Completes what decoders with rotary positions, RMS norms and gated MLPs have in common; what jlcm can't
/// run (another activation or rotary scaling) is a problem.
void complete_rotary(ConfigReader& config);

/// The Hugging Face name of a GGUF tensor of the llama architecture, empty where there is none.
[[nodiscard]] std::string huggingface_name(const std::string& gguf_name);
/// The reverse.
[[nodiscard]] std::string gguf_name(const std::string& huggingface_name);

/// Whether GGUF interleaves the rows of this tensor (Hugging Face name): query and key projections.
[[nodiscard]] bool has_rotary_rows(const std::string& huggingface_name);

/// Where Hugging Face's row i of a query or key projection lies in GGUF: Hugging Face rotates rows (j, j +
/// head_dim/2) of a head together, GGUF has them side by side (llama.cpp, convert_hf_to_gguf.py, permute).
[[nodiscard]] std::vector<std::int64_t> rotary_rows_in_gguf(std::int64_t rows, std::int64_t head_dim);
/// The reverse: where GGUF's row i lies in Hugging Face's order.
[[nodiscard]] std::vector<std::int64_t> rotary_rows_in_huggingface(std::int64_t rows, std::int64_t head_dim);

/// Where rope_scaling is "llama3": by what each of the head_dim / 2 rotary frequencies is divided (GGUF keeps
/// these in a tensor of the name below); else empty. Transformers, modeling_rope_utils.py,
/// _compute_llama3_parameters.
[[nodiscard]] std::vector<float> rotary_frequency_factors(const nlohmann::json& config);
inline constexpr std::string_view rotary_factors_name = "rope_freqs.weight";

/// The completed configuration that the metadata of a GGUF file of architecture llama means. Needs the file's
/// tensors for what metadata leaves out. What is damaged or not supported is reported to `problems`, keys of
/// "llama." that aren't understood among it; the result is then of no use. Another architecture is an input
/// error.
[[nodiscard]] nlohmann::json llama_config_from_gguf(const Gguf& gguf, Problems& problems);

/// The metadata of architecture llama for a completed configuration, without the tokenizer's.
[[nodiscard]] GgufMetadata gguf_metadata_from_llama(const nlohmann::json& config);

}  // namespace jlcm
