#include "core/model/model.hpp"

#include "core/graph/graph_json.hpp"
#include "core/graph/llama.hpp"

namespace jlcm {
namespace {

RotaryScaling rotary_scaling(const nlohmann::json& config) {
    RotaryScaling scaling;
    const auto& json = config.at("rope_scaling");
    if (json.is_null()) return scaling;
    const auto type = json.at("rope_type").get<std::string>();
    scaling.factor = json.at("factor").get<double>();
    if (type == "linear") {
        scaling.kind = RotaryScaling::Kind::linear;
    } else if (type == "llama3") {
        scaling.kind = RotaryScaling::Kind::llama3;
        scaling.low_frequency_factor = json.at("low_freq_factor").get<double>();
        scaling.high_frequency_factor = json.at("high_freq_factor").get<double>();
        scaling.original_context = json.at("original_max_position_embeddings").get<double>();
    } else {
        fail("rope_scaling type '{}' is not supported; supported are linear and llama3", type);
    }
    return scaling;
}

}  // namespace

Graph build_graph(const nlohmann::json& config) {
    const auto type = config.at("model_type").get<std::string>();
    if (type == "graph") return graph_from_json(config.at("graph"));
    require(type == "llama", "model_type '{}' is not supported; supported are llama and graph", type);
    require(!config.at("attention_bias").get<bool>() && !config.at("mlp_bias").get<bool>(),
            "llama with biases (attention_bias, mlp_bias) is not supported");
    LlamaConfig llama;
    llama.hidden_size = config.at("hidden_size");
    llama.intermediate_size = config.at("intermediate_size");
    llama.layers = config.at("num_hidden_layers");
    llama.query_heads = config.at("num_attention_heads");
    llama.key_heads = config.at("num_key_value_heads");
    llama.head_dim = config.at("head_dim");
    llama.vocabulary = config.at("vocab_size");
    llama.max_positions = config.at("max_position_embeddings");
    llama.norm_epsilon = config.at("rms_norm_eps");
    llama.rotary_base = config.at("rope_theta");
    llama.rotary_scaling = rotary_scaling(config);
    llama.tied_head = config.at("tie_word_embeddings");
    return build_llama(llama);
}

Model::Model(Checkpoint checkpoint)
    : checkpoint_(std::move(checkpoint)),
      graph_(build_graph(checkpoint_.config)),
      input_(make_input(checkpoint_.config, checkpoint_.extra, checkpoint_.tokenizer)) {
    for (const Parameter& parameter : graph_.parameters()) {
        const StoredTensor& stored = checkpoint_.tensor(parameter.name);
        require(stored.shape == parameter.shape, "{}: shape {}, expected {}", parameter.name,
                to_string(stored.shape), to_string(parameter.shape));
    }
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
    }
}

Tensor head_weight(const WeightSource& source, DType compute, Backend& backend) {
    if (source.graph().head() < 0) return {};
    return backend.convert(source.weight(source.graph().head()), compute);
}

}  // namespace jlcm
