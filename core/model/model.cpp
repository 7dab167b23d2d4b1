#include "core/model/model.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/formats/architecture.hpp"
#include "core/graph/graph_json.hpp"
#include "core/tensor/non_finite.hpp"
#include "core/text/embedded_tokenizer.hpp"

#include <set>

namespace jlcm {
namespace {

/// Of one sample that a graph reads; empty where `config` is no graph's.
Shape sample_shape(const nlohmann::json& config) {
    if (config.at("model_type") != "graph") return {};
    Shape shape = config.at("graph").at("input").at("shape").get<Shape>();
    shape.erase(shape.begin());
    return shape;
}

/// Errors about the preprocessing name its file.
ModelInput input_of(const Checkpoint& checkpoint) {
    try {
        return make_input(checkpoint.config, checkpoint.extra, checkpoint.tokenizer);
    } catch (const Error& error) {
        if (checkpoint.preprocess_file.empty()) throw;
        throw error.within(checkpoint.preprocess_file.string());
    }
}

}  // namespace

Graph build_graph(const nlohmann::json& config) {
    if (has_key(config, "model_type") && config.at("model_type") == "graph") {
        require(has_key(config, "graph"), "the configuration of the model lacks its graph");
        return graph_from_json(config.at("graph"));
    }
    return build_transformer(transformer_config(config));
}

Model::Model(Checkpoint checkpoint, const std::set<std::string>& elsewhere)
    : checkpoint_(std::move(checkpoint)),
      graph_(build_graph(checkpoint_.config)),
      input_(input_of(checkpoint_)) {
    for (const Parameter& parameter : graph_.parameters()) {
        if (elsewhere.contains(parameter.name)) continue;
        const StoredTensor& stored = checkpoint_.tensor(parameter.name);
        require(stored.shape == parameter.shape, "{}: shape {}, expected {}", parameter.name,
                to_string(stored.shape), to_string(parameter.shape));
    }
    require_finite(graph_, checkpoint_.tensors);
}

void require_finite(const Graph& graph, const std::map<std::string, StoredTensor>& tensors) {
    std::set<std::string> seen;
    std::string problems;
    for (const Parameter& parameter : graph.parameters()) {
        const auto stored = tensors.find(parameter.name);
        if (stored == tensors.end() || !seen.insert(parameter.name).second) continue;
        const NonFinite found = find_non_finite(stored->second);
        release_mapped_pages();
        // A constant of the graph may be a mask that adds minus infinity.
        const bool is_mask = parameter.role == "constant" && found.nans == 0;
        if (found.any() && !is_mask)
            problems += fmt::format("\n  {}: {}", parameter.name, describe(found, parameter.shape));
    }
    require(problems.empty(),
            "weights of the model are not finite, and no figure made from them would be:{}\nGet the files "
            "again, or convert the model anew (float16 ends at 65504, bfloat16 and float32 do not)",
            problems);
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
            input.preprocess = std::make_shared<const Preprocess>(*found, sample_shape(config));
        } catch (const Error& error) {
            throw error.within("the model's preprocessing");
        }
    } else if (!tokenizer.data.empty()) {
        input.tokenizer = with_embedding(make_tokenizer(tokenizer), config.at("vocab_size"));
        require(has_key(config, "max_position_embeddings") &&
                    config.at("max_position_embeddings").is_number_integer(),
                "the configuration of the model does not say for how many positions it is made "
                "(max_position_embeddings)");
        input.max_positions = config.at("max_position_embeddings");
    } else if (const Shape shape = sample_shape(config); !shape.empty()) {
        input.preprocess = std::make_shared<const Preprocess>(Preprocess::of_tensors(shape));
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
