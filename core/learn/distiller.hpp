#pragma once
// A short pass over the whole model: KL(original || compressed) of what it predicts, or the squared error of
// outputs that are no predictions (core/graph/output.hpp), for codebooks, scales, norms,
// and on request the mapping. Blocks are recomputed in the backward, so that memory holds one block's
// activations.

#include "core/learn/block_learner.hpp"
#include "core/model/feature_store.hpp"

#include <memory>

namespace jlcm {

struct DistillationOptions {
    std::int64_t steps = 60;
    std::int64_t batch = 2;
    double rate = 6e-3;
    double norm_rate = 1e-3;
    std::optional<Choice<Estimator>> estimator;
    Schedule schedule = Schedule::cosine;
    std::int64_t warmup = 0;

    void fields(Fields& v);
};

/// Learns `model` whole. `samples`: [count, ...] as the model reads them, visited in order, `batch` a step,
/// from the start again when they run out. `original_features` (may be null, outlives the learner) remembers
/// what the original makes of them. Records of steps: {"step", "loss" (mean KL per prediction in nats; of
/// values the squared error relative to the original's squares), "moved", "jumps"}.
[[nodiscard]] std::unique_ptr<Trainable> make_distiller(CompressedModel& model, Tensor samples,
                                                        const DistillationOptions& options, DType compute,
                                                        Backend& backend,
                                                        FeatureStore* original_features = nullptr);

/// The cost of distillation: the stage "distill". `sizes`: for a sample of distillation. Mappings of the
/// models that are in memory are the caller's.
[[nodiscard]] StageCost distiller_cost(const GraphSizes& sizes, const DistillationOptions& options,
                                       const BitsOfWeight& bits);

}  // namespace jlcm
