#pragma once
// Tables: embeddings and head. They have no calibration inputs and are not learned.

#include "core/codebook/compressed_model.hpp"
#include "core/compress/cost.hpp"
#include "core/compress/options.hpp"

#include <vector>

namespace jlcm {

/// The embedding (of an ONNX network the tables of all look-ups), and the head if it has weights of its own.
[[nodiscard]] std::vector<ParameterId> embedding_parameters(const Graph& graph);

/// What compressing them takes.
[[nodiscard]] StageCost embedding_cost(const PipelineSizes& sizes);

/// Replaces them in `model` (a head tied to the embedding follows it). An input error if the initialiser
/// wants calibration inputs.
void compress_embedding(const EmbeddingOptions& options, CompressedModel& model);

}  // namespace jlcm
