#include "core/compress/embedding.hpp"

#include <algorithm>

namespace jlcm {

std::vector<ParameterId> embedding_parameters(const Graph& graph) {
    std::vector<ParameterId> ids;
    for (const ParameterId id : graph.parameters_of(graph.body().nodes))
        if (graph.parameter(id).role == "embedding") ids.push_back(id);
    if (graph.head() >= 0 && graph.parameter(graph.head()).tied_to < 0) ids.push_back(graph.head());
    return ids;
}

StageCost embedding_cost(const PipelineSizes& sizes) {
    double codes = 0;
    double largest = 0;
    for (const ParameterId id : embedding_parameters(sizes.graph.graph())) {
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
    for (const ParameterId id : embedding_parameters(graph)) {
        const std::string& name = graph.parameter(id).name;
        const LayerProblem problem{.name = name, .weights = model.base().weight(id), .second_moments = {}};
        CompressedMatrix matrix = codebook_init->initialise(problem, grouping->group(problem, options.bits));
        matrix.round_to_storage(name);
        model.matrices()[id] = matrix;
        if (graph.head() >= 0 && graph.parameter(graph.head()).tied_to == id)
            model.matrices()[graph.head()] = std::move(matrix);
    }
}

}  // namespace jlcm
