#pragma once
// What GGUF files of the llama family hold in their own way: rotary rows and scalings.

#include "core/base/json.hpp"
#include "core/formats/config_keys.hpp"
#include "core/formats/gguf.hpp"
#include "core/formats/gguf_metadata.hpp"
#include "core/tensor/encoding.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

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

/// Adds the rope_scaling that metadata and the tensor of factors mean to a configuration that is complete but for it.
void add_rope_scaling(ArchitectureMetadata& metadata, const Gguf& gguf, nlohmann::json& config);

}  // namespace jlcm
