#include "core/compress/cost.hpp"

#include "core/compress/block_data.hpp"
#include "core/compress/block_learning.hpp"
#include "core/compress/block_solver.hpp"

#include <algorithm>

namespace jlcm {

CodeShape PipelineSizes::codes(ParameterId id) const {
    const auto found = plan.find(id);
    return found == plan.end() ? CodeShape{} : found->second.code_shape();
}

double PipelineSizes::code_bytes(const Block& block) const {
    double total = 0;
    for (const auto& use : graph.graph().linears(block.nodes))
        total += graph.elements(use.parameter) * codes(use.parameter).per_weight();
    return total;
}

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
    double codes = 0;
    if (const auto& embedding = options.embedding) {
        const double per_weight = embedding->grouping.make()->code_shape(embedding->bits).per_weight();
        for (const ParameterId id : graph.graph().tables()) codes += graph.elements(id) * per_weight;
    }
    if (options.distill) codes += graph.all_blocks([&](const Block& block) { return code_bytes(block); });
    return models * codes;
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
