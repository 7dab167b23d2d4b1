#pragma once
// Tables (Graph::tables): embeddings and head. They have no calibration inputs and come first, so that the blocks
// learn from what they make; distillation learns them.

#include "core/codebook/compressed_model.hpp"
#include "core/compress/compression_plan.hpp"
#include "core/compress/cost.hpp"
#include "core/compress/options.hpp"

#include <map>

namespace jlcm {

/// `plan` and the tables, if they are compressed.
[[nodiscard]] std::map<ParameterId, MatrixPlan> plan_with_tables(std::map<ParameterId, MatrixPlan> plan,
                                                                 const Graph& graph,
                                                                 const CompressOptions& options);

/// What compressing them takes.
[[nodiscard]] StageCost embedding_cost(const PipelineSizes& sizes);

/// Replaces them in `model` (a head tied to the embedding follows it). An input error if the initialiser
/// wants calibration inputs.
void compress_embedding(const EmbeddingOptions& options, CompressedModel& model);

}  // namespace jlcm
