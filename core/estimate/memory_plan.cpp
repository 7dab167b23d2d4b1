#include "core/estimate/memory_plan.hpp"

#include "core/base/error.hpp"
#include "core/compress/cost.hpp"
#include "core/compress/embedding.hpp"
#include "core/model/evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>

namespace jlcm {

const StageCost& MemoryPlan::largest() const {
    return *std::ranges::max_element(stages, {}, &StageCost::total);
}

std::string MemoryPlan::describe() const {
    std::string text;
    for (const StageCost& stage : stages) {
        text += fmt::format("  {:<12}{:>10}", stage.name, format_bytes(stage.total()));
        std::vector<StageCost::Part> parts = stage.parts;
        std::ranges::sort(parts, std::greater(), &StageCost::Part::bytes);
        constexpr double worth_telling = 0.1;  // of the stage
        std::string separator = "   ";
        for (const auto& part : parts)
            if (part.bytes >= worth_telling * stage.total()) {
                text += fmt::format("{}{} {}", separator, part.what, format_bytes(part.bytes));
                separator = ", ";
            }
        text += '\n';
    }
    return text;
}

void MemoryPlan::require_within(double limit) const {
    const StageCost& stage = largest();
    require(
        stage.total() <= limit,
        "the memory limit is {}, and the run would need {} ({}):\n{}lower calibration.sequences or length, "
        "learn.batch, or leave out distill or evaluate",
        format_bytes(limit), format_bytes(stage.total()), stage.name, describe());
}

std::vector<StageCost> stage_costs(const RunSizes& run) {
    // Without calibration nothing below looks at samples, but shapes need a length.
    const CalibrationOptions calibration = run.calibration.value_or(CalibrationOptions{});
    const Graph& graph = run.model.graph();
    const ModelInput& input = run.model.input();
    const GraphSizes sizes(graph, input.sample_shape(calibration.length), run.compute);
    const PipelineSizes pipeline{sizes, run.compress, calibration, run.plan};
    std::vector<StageCost> stages;
    if (run.compress.embedding) stages.push_back(embedding_cost(pipeline));
    std::ranges::move(pipeline_costs(pipeline), std::back_inserter(stages));
    const double mappings = pipeline.mappings();
    if (const auto& options = run.compress.distill) {
        const GraphSizes samples(graph, input.sample_shape(options->length.value_or(calibration.length)),
                                 run.compute);
        const auto plan = plan_with_tables(run.plan, graph, run.compress);
        stages.push_back(distiller_cost(samples, *options, [&](ParameterId id) {
            const auto found = plan.find(id);
            return found == plan.end() ? CodeShape{} : found->second.code_shape();
        }));
        stages.back().add("samples", pipeline.samples());
        stages.back().add("mappings", mappings);
    }
    if (run.longest_evaluated > 0) {
        stages.push_back(evaluation_cost(run.model, run.compute,
                                         {.models = run.compress.evaluated_models(),
                                          .longest = run.longest_evaluated,
                                          .has_noise_floor = run.has_noise_floor}));
        stages.back().add("mappings", mappings + sizes.all_blocks([&](const Block& block) {
            return pipeline.compressed_weights(block);
        }));
    }
    return stages;
}

MemoryPlan plan_memory(const RunSizes& run, double program) {
    constexpr double workspace =
        30e6;  // of products and threads, of tokenisation and data that are evaluated
    MemoryPlan result{stage_costs(run)};
    for (StageCost& stage : result.stages)
        stage.parts.insert(stage.parts.begin(), {"program, data", program + workspace});
    return result;
}

double parse_bytes(const std::string& text) {
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    const std::string unit(end);
    static const std::map<std::string, double> units{{"", 1},
                                                     {"K", 1e3},
                                                     {"KB", 1e3},
                                                     {"KiB", 1024.0},
                                                     {"M", 1e6},
                                                     {"MB", 1e6},
                                                     {"MiB", 1024.0 * 1024},
                                                     {"G", 1e9},
                                                     {"GB", 1e9},
                                                     {"GiB", 1024.0 * 1024 * 1024}};
    const auto found = units.find(unit);
    require(end != text.c_str() && found != units.end() && number > 0 && std::isfinite(number),
            "'{}' is no amount of memory; write e.g. 8G, 512M or 7.5GiB", text);
    return number * found->second;
}

std::string format_bytes(double bytes) {
    if (bytes >= 1e9) return fmt::format("{:.2f} GB", bytes / 1e9);
    return fmt::format("{:.0f} MB", bytes / 1e6);
}

}  // namespace jlcm
