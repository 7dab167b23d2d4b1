#include "core/compress/cost.hpp"

#include "core/compress/block_data.hpp"
#include "core/compress/block_learning.hpp"
#include "core/compress/block_solver.hpp"

#include <algorithm>

namespace jlcm {

double PipelineSizes::compressed_weights(const Block& block) const {
    double total = 0;
    for (const auto& use : graph.graph().linears(block.nodes))
        if (plan.contains(use.parameter)) total += graph.elements(use.parameter);
    return total;
}

double PipelineSizes::largest_matrix() const {
    double largest = 0;
    for (const auto& [id, matrix] : plan) largest = std::max(largest, graph.elements(id));
    return largest;
}

double PipelineSizes::distillation_batch() const {
    const auto& distill = options.distill;
    if (!distill) return 0;
    const std::int64_t length = distill->length.value_or(calibration.length);
    return static_cast<double>(distill->batch * length) / static_cast<double>(calibration.length);
}

double PipelineSizes::mappings() const {
    const double models = options.evaluated_models() - 1;  // the original has none
    double weights = 0;
    if (options.embedding)
        for (const ParameterId id : graph.graph().tables()) weights += graph.elements(id);
    if (options.distill)
        weights += graph.all_blocks([&](const Block& block) { return compressed_weights(block); });
    return models * weights;
}

double PipelineSizes::samples() const {
    double count = options.needs_calibration() ? static_cast<double>(calibration.sequences) : 0;
    if (options.distill) count += static_cast<double>(options.distill->steps) * distillation_batch();
    return count * graph.elements_of_value(graph.graph().input()) * 4;
}

std::vector<StageCost::Part> standing_parts(const PipelineSizes& sizes) {
    StageCost stage;
    stage.add("samples", sizes.samples());
    for (const StageCost::Part& part : block_data_parts(sizes)) stage.add(part.what, part.bytes);
    stage.add("mappings", sizes.mappings());
    return stage.parts;
}

std::vector<StageCost> pipeline_costs(const PipelineSizes& sizes) {
    std::vector<StageCost> stages;
    const auto add = [&](StageCost stage) {
        const auto standing = standing_parts(sizes);
        stage.parts.insert(stage.parts.begin(), standing.begin(), standing.end());
        stages.push_back(std::move(stage));
    };
    if (sizes.options.solving_needs().gradients()) stages.push_back(gradients_cost(sizes));
    if (sizes.options.needs_calibration()) add(calibration_cost(sizes));
    add(solving_cost(sizes));
    if (const auto& learn = sizes.options.learn) add(block_learning_cost(sizes, *learn));
    return stages;
}

}  // namespace jlcm
