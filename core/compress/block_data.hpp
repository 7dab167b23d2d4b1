#pragma once
// The parts of the calibration data that the stages of a block read. Each piece is made when a stage first
// asks for it, and only pieces that the options declare (CompressOptions::solving_needs, learning_needs) are
// asked for.

#include "core/codebook/compressed_model.hpp"
#include "core/compress/activations.hpp"
#include "core/compress/cost.hpp"
#include "core/compress/samples.hpp"
#include "core/compress/second_moments.hpp"
#include "core/compress/stage_keys.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace jlcm {

class BlockData {
  public:
    /// `model`: what the blocks compressed so far are in. `shares_moments`: through the stage cache.
    /// References outlive it.
    BlockData(const Compression& run, const CalibrationSamples& samples, const CompressedModel& model,
              const StageKeys& keys, bool shares_moments);

    [[nodiscard]] const Executor& executor() const { return executor_; }
    /// Forgets the former block's second moments. Blocks come in order.
    void begin(std::size_t index);
    /// Second moments of the inputs of the layers of the block that was begun, of either model's activations
    /// as the options have it.
    [[nodiscard]] const SecondMoments& moments();
    /// The data of a layer of that block, as far as `needs` says.
    [[nodiscard]] LayerProblem problem(const Graph::LinearUse& use, const DataNeeds& needs);
    /// What a warning says of experts of that block whose second moments are of too few tokens; empty if there
    /// are none, or if nothing has asked for second moments.
    [[nodiscard]] std::string few_tokens() const;
    /// The inputs of a block in the original model (Activations::inputs), not before that block.
    [[nodiscard]] Tensor original_inputs(std::size_t index) { return original_.inputs(index); }
    /// Its inputs from the blocks compressed so far.
    [[nodiscard]] Tensor compressed_inputs(std::size_t index) { return compressed_.inputs(index); }

  private:
    [[nodiscard]] const GradientStatistics& gradients();
    [[nodiscard]] Tensor fisher(ParameterId id);
    void observe(SecondMoments& moments);
    void observe_both(const Block& block, const Weights& weights, const Tensor& compressed,
                      const Tensor& original, SecondMoments& moments);

    const Compression& run_;
    const StageKeys& keys_;
    DataNeeds solving_;
    bool shares_moments_;
    Tensor observed_;  ///< the samples that the layer-wise stages see; undefined without any
    Executor executor_;
    Activations original_;
    Activations compressed_;
    std::size_t block_ = 0;
    std::optional<GradientStatistics> gradients_;
    std::optional<SecondMoments> moments_;
};

/// What the data of blocks hold over all of them: activations and gradient statistics.
[[nodiscard]] std::vector<StageCost::Part> block_data_parts(const PipelineSizes& sizes);
/// The stages that make them: "gradients" (before the first block), and "calibrate".
[[nodiscard]] StageCost gradients_cost(const PipelineSizes& sizes);
[[nodiscard]] StageCost calibration_cost(const PipelineSizes& sizes);

}  // namespace jlcm
