#pragma once
// A short pass over the whole model: KL(original || compressed) of what it predicts, or the squared error of
// outputs that are no predictions (core/graph/output.hpp), for codebooks, scales, norms,
// compressed tables, and on request the mapping. Blocks are recomputed in the backward, so that memory holds one block's
// activations.

#include "core/learn/block_learner.hpp"
#include "core/model/feature_store.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

namespace jlcm {

/// Where weights lie among their codewords when distillation starts.
enum class MappingStart : std::uint8_t { fresh, learned };
inline EnumNames<MappingStart> enum_names(MappingStart /*tag*/) {
    return {{MappingStart::fresh, "fresh", "where the original weights do, a margin inside their cells"},
            {MappingStart::learned, "learned", "where block learning by the same estimator left them"}};
}

/// How the mapping steps beside codebooks, scales and norms.
struct MappingOptions {
    std::int64_t every = 1;
    std::optional<Schedule> schedule;
    std::optional<std::int64_t> warmup;
    double most = 1.0;
    MappingStart start = MappingStart::fresh;

    void fields(Fields& v);
};

struct DistillationOptions {
    std::int64_t steps = 60;
    std::int64_t batch = 2;
    std::optional<std::int64_t> batch_at_once;
    double rate = 6e-3;
    double norm_rate = 1e-3;
    std::optional<Choice<Estimator>> estimator;
    MappingOptions mapping;
    bool embedding = true;
    Schedule schedule = Schedule::cosine;
    std::int64_t warmup = 0;

    void fields(Fields& v);
    void validate(Problems& problems) const;
    /// Samples that go through the model at once.
    [[nodiscard]] std::int64_t at_once() const { return std::min(batch_at_once.value_or(batch), batch); }
    /// What matrices make of step `step`: none of the mapping's between its own.
    [[nodiscard]] MatrixStep matrix_step(std::int64_t step) const;
};

/// What the learner of a block left of its mappings (Trainable::positions).
using PositionsOfBlock = std::function<std::vector<NamedTensor>(std::size_t block)>;

/// Learns `model` whole. `samples`: [count, ...] as the model reads them, visited in order, `batch` a step,
/// from the start again when they run out; a step's gradient is the sum over its parts of `batch_at_once`
/// samples. `original_features` (may be null, outlives the learner) remembers what the original makes of
/// them. `positions`: asked once for each block if the mapping starts from there.
/// Records of steps: {"step", "loss" (mean KL per prediction in nats; of values the mean
/// over the parts of the squared error relative to the original's squares), "moved", "jumps"}.
[[nodiscard]] std::unique_ptr<Trainable> make_distiller(CompressedModel& model, Tensor samples,
                                                        const DistillationOptions& options, DType compute,
                                                        Backend& backend,
                                                        FeatureStore* original_features = nullptr,
                                                        const PositionsOfBlock& positions = {});

/// The cost of distillation: the stage "distill". `sizes`: for a sample of distillation. Mappings of the
/// models that are in memory are the caller's.
[[nodiscard]] StageCost distiller_cost(const GraphSizes& sizes, const DistillationOptions& options,
                                       const CodesOfWeight& codes);

}  // namespace jlcm
