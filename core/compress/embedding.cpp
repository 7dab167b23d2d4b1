#include "core/compress/embedding.hpp"

#include <algorithm>

namespace jlcm {

std::map<ParameterId, MatrixPlan> plan_with_tables(std::map<ParameterId, MatrixPlan> plan, const Graph& graph,
                                                   const CompressOptions& options) {
    if (const auto& embedding = options.embedding)
        for (const ParameterId id : graph.tables())
            plan.emplace(id, MatrixPlan{embedding->bits, embedding->grouping, {}});
    return plan;
}

StageCost embedding_cost(const PipelineSizes& sizes) {
    double codes = 0;
    double largest = 0;
    for (const ParameterId id : sizes.graph.graph().tables()) {
        codes += sizes.graph.elements(id);
        largest = std::max(largest, sizes.graph.elements(id));
    }
    StageCost stage{"embedding", {}};
    stage.add("codes", codes);
    stage.add("weights of a table, decoded and sorted", 2 * 4 * largest);
    stage.loops = codes;
    return stage;
}

void compress_embedding(const EmbeddingOptions& options, CompressedModel& model) {
    const Graph& graph = model.graph();
    const auto grouping = options.grouping.make();
    const auto codebook_init = options.codebook_init.make();
    for (const ParameterId id : graph.tables()) {
        const std::string& name = graph.parameter(id).name;
        const LayerProblem problem{.name = name, .weights = model.base().weight(id), .second_moments = {}};
        CompressedMatrix matrix = codebook_init->initialise(problem, grouping->group(problem, options.bits));
        matrix.round_to_storage(name);
        model.matrices()[id] = matrix;
        if (graph.head() != id && graph.head_table() == id)
            model.matrices()[graph.head()] = std::move(matrix);
    }
}

}  // namespace jlcm
