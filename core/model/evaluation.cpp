#include "core/model/evaluation.hpp"

#include "core/base/parallel.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

/// Evaluations put this many tokens through a model at a time, or one sample.
constexpr std::int64_t tokens_per_step = 1024;
/// And images one by one on each thread, or as many as are worth it (Executor::forward).
constexpr double operations_per_step = 1e8;

}  // namespace

DType other_type(DType compute) {
    return compute == DType::f32 ? DType::bf16 : DType::f32;
}

StageCost evaluation_cost(const Model& original, DType compute, const EvaluationSizes& evaluated) {
    const Graph& graph = original.graph();
    const ModelInput& input = original.input();
    const bool images = input.preprocess != nullptr;
    const std::int64_t length =
        std::clamp<std::int64_t>(evaluated.longest, 1, std::max<std::int64_t>(1, input.max_positions));
    const GraphSizes sizes(graph, input.sample_shape(images ? 1 : length), compute);
    const NodeRange all = sizes.all_nodes();
    const double samples =
        images ? thread_count() * std::ceil(operations_per_step / sizes.forward_operations())
               : std::ceil(static_cast<double>(tokens_per_step) / static_cast<double>(length));
    StageCost stage{"evaluate", {}};
    // The original's file and the artifact are read in place.
    const BoundBytes weights = bound_bytes(original, compute);
    // The convolutions of an original in float32 stay dense; of compressed models one weight at a time is decoded.
    const double dense_models = images ? 1.0 : static_cast<double>(evaluated.models);
    stage.add("weights of the models", 2 * weights.mapped + dense_models * weights.dense);
    if (evaluated.has_noise_floor)
        stage.add("weights of the noise floor", bound_bytes(original, other_type(compute)).dense);
    if (images) stage.add("packed weights of convolutions", weights.dense + sizes.decoded(all));
    // Blocks whose values have other sizes do not share memory, which is what images are for.
    stage.add("values", images ? sizes.values(all, samples) + sizes.patches(all, samples)
                               : sizes.largest_block([&](const Block& block) {
                                     return sizes.passing_values(block.nodes, samples);
                                 }));
    return stage;
}

StageCost evaluation_work(const Graph& graph, const ModelInput& input, const Workload& workload) {
    const GraphSizes sizes(graph, input.sample_shape(workload.length), DType::f32);
    const auto samples = static_cast<double>(workload.samples);
    StageCost work{"evaluate", {}};
    work.products = samples * (sizes.forward_operations() + sizes.head_operations());
    work.loops = samples * sizes.forward_elements();
    return work;
}

}  // namespace jlcm
