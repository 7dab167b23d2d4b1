#include "core/model/model.hpp"

#include "core/base/files.hpp"
#include "core/formats/architecture.hpp"
#include "core/graph/graph_json.hpp"

namespace jlcm {
Graph build_graph(const nlohmann::json& config) {
    if (config.at("model_type") == "graph") return graph_from_json(config.at("graph"));
    return build_transformer(transformer_config(config));
}

Model::Model(Checkpoint checkpoint, const std::set<std::string>& elsewhere)
    : checkpoint_(std::move(checkpoint)),
      graph_(build_graph(checkpoint_.config)),
      input_(make_input(checkpoint_.config, checkpoint_.extra, checkpoint_.tokenizer)) {
    for (const Parameter& parameter : graph_.parameters()) {
        if (elsewhere.contains(parameter.name)) continue;
        const StoredTensor& stored = checkpoint_.tensor(parameter.name);
        require(stored.shape == parameter.shape, "{}: shape {}, expected {}", parameter.name,
                to_string(stored.shape), to_string(parameter.shape));
    }
}

bool is_encoder(const Graph& graph, const ModelInput& input) {
    return graph.head() < 0 && input.preprocess == nullptr;
}

const StoredTensor& Model::stored(ParameterId id) const {
    return checkpoint_.tensor(graph_.parameter(id).name);
}

ModelInput make_input(const nlohmann::json& config, const nlohmann::json& extra,
                      const TokenizerSource& tokenizer) {
    ModelInput input;
    if (const auto found = extra.find("preprocess"); found != extra.end()) {
        try {
            input.preprocess = std::make_shared<const Preprocess>(*found);
        } catch (const Error& error) {
            throw error.within("the model's preprocessing");
        }
    } else if (!tokenizer.data.empty()) {
        input.tokenizer = make_tokenizer(tokenizer);
        input.max_positions = config.at("max_position_embeddings");
    }
    return input;
}

void bind_weights(Weights& weights, const WeightSource& source, NodeRange range, DType compute,
                  Backend& backend) {
    const Graph& graph = source.graph();
    for (const ParameterId id : graph.parameters_of(range)) {
        Tensor value = source.weight(id);
        weights.bind(id, graph.parameter(id).linear ? backend.convert(value, compute) : value);
        release_mapped_pages();  // a copy of them is bound
    }
}

Tensor head_weight(const WeightSource& source, DType compute, Backend& backend) {
    if (source.graph().head() < 0) return {};
    return backend.convert(source.weight(source.graph().head()), compute);
}

}  // namespace jlcm
