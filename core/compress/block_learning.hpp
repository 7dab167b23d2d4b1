#pragma once
// Joint learning of a block that was solved.

#include "core/compress/block_data.hpp"

#include <cstddef>
#include <memory>

namespace jlcm {

class BlockLearning {
  public:
    /// `run.options.learn` must be there. References outlive it.
    BlockLearning(const Compression& run, BlockData& data);

    /// Learns block `index` of `model`, which `data` has begun. `original_inputs`: what the original model
    /// feeds it, if the options learn from that.
    void learn(std::size_t index, CompressedModel& model, Tensor original_inputs);

  private:
    void add_moments(const Block& block, std::vector<LearnedLayer>& layers);

    const Compression& run_;
    BlockData& data_;
    const LearnOptions& options_;
    std::unique_ptr<Objective> objective_;
    DataNeeds needs_;
};

/// The stage "learn", without what stands.
[[nodiscard]] StageCost block_learning_cost(const PipelineSizes& sizes, const LearnOptions& options);

}  // namespace jlcm
