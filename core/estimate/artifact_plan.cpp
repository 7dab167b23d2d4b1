#include "core/estimate/artifact_plan.hpp"

#include "core/compress/embedding.hpp"
#include "core/compress/reordering.hpp"

namespace jlcm {
namespace {

MatrixForm form_of(const GroupedRows& grouped, std::int64_t outliers) {
    const bool scaled = grouped.layout.shared_codebook;
    return {.layout = grouped.layout,
            .scales = scaled,
            .offsets = scaled && grouped.offsets,
            .row_order = !grouped.row_order.empty(),
            .outliers = outliers};
}

/// Whether learning or recalibration gives the parameter another value, which is kept in float32.
bool changes(const Parameter& parameter, const CompressOptions& options) {
    const bool in_block = parameter.block >= 0;
    if (parameter.role == "norm.statistics") return in_block && options.recalibrate_norms;
    const bool learned =
        (in_block && options.learn && options.learn->norm_rate > 0 && options.learns_blocks()) ||
        (options.distill && options.distill->norm_rate > 0);
    return learned && (parameter.role == "bias" || parameter.role.starts_with("norm"));
}

}  // namespace

ArtifactPlan plan_artifact(const Model& model, const CompressOptions& options) {
    const Graph& graph = model.graph();
    ArtifactPlan plan;
    plan.matrices = plan_compression(graph, options);
    const auto reordered = options.reorder ? reorder_model(model, *options.reorder, plan.matrices) : nullptr;
    const WeightSource& weights = reordered ? static_cast<const WeightSource&>(*reordered) : model;
    const auto all = plan_with_tables(plan.matrices, graph, options);
    const auto solver = options.solver.make();
    plan.form = form_of(model.checkpoint());

    const auto compressed = [&](ParameterId id, const MatrixForm& form) {
        plan.form.matrices[graph.parameter(id).name] = form;
        plan.form.tensors.erase(graph.parameter(id).name);
    };
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id) {
        const Parameter& parameter = graph.parameter(id);
        if (const auto found = all.find(id); found != all.end()) {
            const LayerProblem problem{
                .name = parameter.name, .weights = weights.weight(id), .second_moments = {}};
            const GroupedRows grouped = found->second.group(problem);
            const std::int64_t outliers =
                plan.matrices.contains(id) ? solver->outliers(problem.weights.size()) : 0;
            const MatrixForm form = form_of(grouped, outliers);
            compressed(id, form);
            if (graph.head() != id && graph.head_table() == id) compressed(graph.head(), form);
            PlannedShare& share = plan.shares[fmt::format("{:<18}{:>5}  {:<14}", parameter.role,
                                                          found->second.bits, found->second.grouping.name())];
            share.matrices += 1;
            share.weights += problem.weights.size();
            share.codebooks += grouped.layout.codebooks();
            share.shape = parameter.shape;
            continue;
        }
        const auto tensor = plan.form.tensors.find(parameter.name);
        if (parameter.tied_to >= 0 || tensor == plan.form.tensors.end()) continue;
        if (changes(parameter, options)) {
            tensor->second.encoding = Encoding::f32;
            tensor->second.shape = parameter.shape;
        } else if (reordered && (!reordered->rows(id).empty() || !reordered->columns(id).empty())) {
            tensor->second.encoding = reordered_encoding(tensor->second, !reordered->columns(id).empty());
        }
    }
    return plan;
}

}  // namespace jlcm
