#pragma once
// Joint learning of codebooks, scales and mappings of linear layers, each on its own second moments:
// tr((W^ - W) H (W^ - W)^T). No forward or backward: the gradient is 2 (W^ - W) H, the exact curvature 2
// H_jj.

#include "core/learn/objective.hpp"

namespace jlcm {

/// Learns the layers of `model`, which must hold a CompressedMatrix for each; one step is a step of every
/// layer. Of the options, batch and norm_rate have no meaning here.
class LayerLearner final : public Trainable {
  public:
    LayerLearner(const std::vector<LearnedLayer>& layers, CompressedModel& model,
                 const BlockLearningOptions& options, Backend& backend);
    ~LayerLearner() override;

    [[nodiscard]] std::int64_t total_steps() const override;
    [[nodiscard]] std::int64_t steps_done() const override;
    /// {"step", "loss" (mean over layers of the squared output error over that of predicting zero), "moved"
    /// (share of weights), "jumps" (histogram)}
    [[nodiscard]] nlohmann::json step() override;
    [[nodiscard]] std::vector<NamedTensor> state() override;
    void restored(std::int64_t steps) override;
    void finish() override;

  private:
    struct Layer;
    CompressedModel* model_;
    BlockLearningOptions options_;
    Backend* backend_;
    std::vector<Layer> layers_;
    std::int64_t done_ = 0;
};

}  // namespace jlcm
