#pragma once
// What the stages of the pipeline make their costs from; each says its own beside its code.

#include "core/compress/compression_plan.hpp"
#include "core/graph/cost.hpp"

#include <map>
#include <vector>

namespace jlcm {

struct PipelineSizes {
    const GraphSizes& graph;  ///< for a sample of calibration
    const CompressOptions& options;
    const CalibrationOptions& calibration;  ///< of no meaning if nothing reads samples
    const std::map<ParameterId, MatrixPlan>& plan;

    /// Of a weight that is not compressed: none.
    [[nodiscard]] CodeShape codes(ParameterId id) const;
    [[nodiscard]] double compressed_weights(const Block& block) const;
    /// The bytes of a block's codes in memory.
    [[nodiscard]] double code_bytes(const Block& block) const;
    /// The weights of the largest of these matrices.
    [[nodiscard]] double largest_matrix() const;
    /// Samples of a step of distillation, in units of calibration's.
    [[nodiscard]] double distillation_batch() const;
    /// Bytes of the mappings that stay in memory: a byte a code and model if the distillation will move
    /// them.
    [[nodiscard]] double mappings() const;
    /// Bytes of the samples that both models are run on: images weigh as much as activations do.
    [[nodiscard]] double samples() const;
};

/// Memory that is held during the whole pass over the blocks: samples, activations of one or two models,
/// mappings, gradient statistics. Parts of every stage of the pass.
[[nodiscard]] std::vector<StageCost::Part> standing_parts(const PipelineSizes& sizes);

/// The pipeline's stages in the order in which they begin, each with what stands.
[[nodiscard]] std::vector<StageCost> pipeline_costs(const PipelineSizes& sizes);

}  // namespace jlcm
