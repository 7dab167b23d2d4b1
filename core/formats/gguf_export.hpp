#pragma once
// Language models as GGUF holds them: from a completed configuration to metadata and tensors.

#include "core/formats/gguf_families.hpp"
#include "core/tensor/encoding.hpp"

#include <vector>

namespace jlcm {

/// A tensor of the file, made of the model's.
struct GgufTensor {
    TensorInfo info;  ///< GGUF's name and shape
    /// One below the other; of a tensor of experts [experts, out, in] one matrix each.
    std::vector<TensorInfo> parts;
    double offset = 0;  ///< is added
    /// Rows of a head of so many, of which those that turn together lie side by side in the file; 0: as they are.
    std::int64_t interleaved_head = 0;
    /// What is no weight of the model: the values themselves.
    std::vector<float> values = {};
};

struct GgufModel {
    GgufMetadata metadata;  ///< the architecture's, without the tokenizer's
    std::vector<GgufTensor> tensors;
};

/// What stands in the file of a model with this completed configuration. An input error if GGUF has no such family, or
/// if a reader of the file would take it for another model: the keys of config.json that metadata cannot say are named.
[[nodiscard]] GgufModel gguf_model(const nlohmann::json& config);

}  // namespace jlcm
