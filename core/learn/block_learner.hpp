#pragma once
// Joint learning of codebooks, scales, norms and mappings of one block: || f(X~; W^) - f(X; W) ||^2.

#include "core/codebook/compressed_model.hpp"
#include "core/graph/cost.hpp"
#include "core/learn/learned_matrix.hpp"
#include "core/learn/optimizer.hpp"
#include "core/learn/trainable.hpp"
#include "core/plugin/choice.hpp"

#include <map>
#include <memory>

namespace jlcm {

struct BlockLearningOptions {
    std::int64_t steps = 50;
    std::int64_t batch = 4;
    Choice<Estimator> estimator{"nearest"};
    double codebook_rate = 0.01;
    double scale_rate = 0.001;
    double norm_rate = 0.0;
    Schedule schedule = Schedule::cosine;
    std::int64_t warmup = 0;

    /// `with_activations`: when there are samples to walk through the block, for the options that are about
    /// them.
    void fields(Fields& v, const When& with_activations);
    /// The rates of a step.
    [[nodiscard]] LearningRates rates(std::int64_t step) const;
};

/// Learns one block of `model`, which must hold a CompressedMatrix for every linear weight that is to be
/// learned. `inputs` and `targets`: [samples, ...] float32, the block's inputs as the compressed
/// model makes them and the original model's outputs. Samples are visited in an order drawn from `seed`,
/// anew each epoch. Records of steps: {"step", "loss" (mean squared error over that of predicting zero),
/// "moved" (share of weights), "jumps" (histogram)}.
[[nodiscard]] std::unique_ptr<Trainable> make_block_learner(const Executor& executor, const Block& block,
                                                            CompressedModel& model, Tensor inputs,
                                                            Tensor targets,
                                                            const BlockLearningOptions& options,
                                                            std::uint64_t seed);

/// The codes of a weight; none for one that is not compressed.
using CodesOfWeight = std::function<CodeShape(ParameterId)>;
/// Bytes that an estimator keeps for the compressed weights of a range, beyond their codes.
[[nodiscard]] double estimator_bytes(const GraphSizes& sizes, NodeRange range, const Estimator& estimator,
                                     const CodesOfWeight& codes);
/// Passes over values (StageCost::loops) for each weight of a step of its codebook and mapping.
[[nodiscard]] double step_loops(const CodeShape& codes);
/// The cost of learning every block: the stage "learn".
[[nodiscard]] StageCost block_learner_cost(const GraphSizes& sizes, const BlockLearningOptions& options,
                                           const CodesOfWeight& codes);

}  // namespace jlcm
