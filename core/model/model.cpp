#include "core/model/model.hpp"

#include "core/backend/packed_product.hpp"
#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/formats/architecture.hpp"
#include "core/graph/graph_json.hpp"
#include "core/tensor/non_finite.hpp"
#include "core/text/embedded_tokenizer.hpp"

#include <algorithm>
#include <set>
#include <utility>

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
        const std::vector<GraphInput> parts = inputs_from_json(config.at("graph"));
        input.preprocess = std::make_shared<const Preprocess>(parts.empty() ? Preprocess::of_tensors(shape)
                                                                            : Preprocess::of_tensors(parts));
    }
    return input;
}

namespace {

class StoredWeight final : public PackedWeight {
  public:
    explicit StoredWeight(StoredTensor stored)
        : stored_(std::move(stored)),
          codes_{.rows = stored_.rows(),
                 .cols = stored_.cols(),
                 .bytes = stored_.bytes.data(),
                 .encoding = stored_.encoding},
          has_kernel_(no_kernel_reason(codes_).empty()) {}
    std::int64_t rows() const override { return stored_.rows(); }
    std::int64_t cols() const override { return stored_.cols(); }
    void decode(std::int64_t begin, std::int64_t end, float* out) const override {
        decode_rows(stored_, begin, end, out);
    }
    const CodedRows* codes() const override { return has_kernel_ ? &codes_ : nullptr; }
    std::string no_codes_reason() const override { return no_kernel_reason(codes_); }
    std::string describe() const override { return std::string(name_of(stored_.encoding)); }
    [[nodiscard]] bool is_float32() const { return stored_.encoding == Encoding::f32; }

  private:
    StoredTensor stored_;
    CodedRows codes_;
    bool has_kernel_;
};

/// The first operator of the range that reads the parameter and does not take it packed; null if there is none.
const Operator* dense_reader(const Graph& graph, NodeRange range, ParameterId id) {
    for (NodeId node = range.first; node < range.end; ++node) {
        const auto& parameters = graph.node(node).parameters;
        for (std::size_t i = 0; i < parameters.size(); ++i)
            if (parameters[i] == id && !graph.node(node).op->takes_packed(i))
                return graph.node(node).op.get();
    }
    return nullptr;
}

/// What nodes of the range read the parameter as; null if that is dense: decoding float32 for each forward would spare
/// no memory.
std::shared_ptr<const PackedWeight> packed_in_use(const WeightSource& source, NodeRange range,
                                                  ParameterId id) {
    auto packed = source.packed(id);
    const auto* stored = dynamic_cast<const StoredWeight*>(packed.get());
    const bool is_float32 = stored != nullptr && stored->is_float32();
    return is_float32 && dense_reader(source.graph(), range, id) != nullptr ? nullptr : std::move(packed);
}

}  // namespace

std::shared_ptr<const PackedWeight> make_packed_weight(const StoredTensor& stored) {
    if (stored.shape.size() != 2 || stored.cols() % block_values(stored.encoding) != 0) return nullptr;
    return std::make_shared<const StoredWeight>(stored);
}

void bind_weights(Weights& weights, const WeightSource& source, NodeRange range, DType compute,
                  Backend& backend, Binding binding, Products products) {
    const Graph& graph = source.graph();
    for (const ParameterId id : graph.parameters_of(range)) {
        const DType type = graph.parameter(id).linear ? compute : DType::f32;
        if (binding == Binding::packed) {
            if (auto packed = packed_in_use(source, range, id); packed != nullptr) {
                weights.bind(id, BoundWeight(std::move(packed), type, products));
                continue;
            }
        }
        weights.bind(id, backend.convert(source.weight(id), type));
        release_mapped_pages();  // a copy of them is bound
    }
}

BoundBytes bound_bytes(const Model& model, DType compute) {
    const Graph& graph = model.graph();
    const NodeRange body = graph.body().nodes;
    BoundBytes bytes;
    std::set<ParameterId> dense;
    double mapped = 0;  // of the present part
    const auto add = [&](ParameterId id, const std::shared_ptr<const PackedWeight>& packed) {
        const StoredTensor& stored = model.stored(id);
        const bool is_linear = graph.parameter(id).linear || id == graph.head();
        if (packed != nullptr) {
            mapped += static_cast<double>(stored.bytes.size());
        } else if (dense.insert(id).second) {
            bytes.dense += static_cast<double>(element_count(stored.shape)) *
                           static_cast<double>(is_linear ? size_of(compute) : size_of(DType::f32));
        }
    };
    const auto end_part = [&] { bytes.mapped = std::max(bytes.mapped, std::exchange(mapped, 0)); };
    std::vector<NodeRange> parts{graph.prologue().nodes, graph.epilogue().nodes};
    for (const Block& block : graph.blocks()) parts.push_back(block.nodes);
    for (const NodeRange& part : parts) {
        for (const ParameterId id : graph.parameters_of(part)) add(id, packed_in_use(model, body, id));
        end_part();
    }
    if (graph.head() >= 0) add(graph.head(), model.packed(graph.head()));
    end_part();
    return bytes;
}

namespace {

std::string held_as(const PackedWeight* packed) {
    return packed != nullptr ? packed->describe() : "dense, decoded once";
}

}  // namespace

std::string held_as(const WeightSource& source, ParameterId id) {
    if (source.graph().parameter(id).shape.size() < 2) return "dense";
    return held_as(packed_in_use(source, source.graph().body().nodes, id).get());
}

std::vector<WeightUse> weight_uses(const WeightSource& source) {
    const Graph& graph = source.graph();
    const NodeRange body = graph.body().nodes;
    std::vector<ParameterId> ids = graph.parameters_of(body);
    if (graph.head() >= 0) ids.push_back(graph.head());
    std::vector<WeightUse> uses;
    for (const ParameterId id : ids) {
        const Parameter& parameter = graph.parameter(id);
        if (parameter.shape.size() < 2) continue;
        const auto packed = packed_in_use(source, body, id);
        WeightUse use{parameter.name, parameter.shape, held_as(packed.get()), "products of dense weights"};
        if (const Operator* reader = dense_reader(graph, body, id); packed != nullptr && reader != nullptr)
            use.kernel = fmt::format("decoded for each forward: {} takes whole weights", reader->kind());
        else if (packed != nullptr && packed->codes() != nullptr)
            use.kernel = fmt::format("codes, {}", packed_kernels_name());
        else if (packed != nullptr)
            use.kernel = fmt::format("decoded for each product: {}", packed->no_codes_reason());
        uses.push_back(std::move(use));
    }
    return uses;
}

BoundWeight bound_head(const WeightSource& source, DType compute, Backend& backend, Products products) {
    const ParameterId head = source.graph().head();
    if (head < 0) return {};
    if (auto packed = source.packed(head); packed != nullptr) return {std::move(packed), compute, products};
    return head_weight(source, compute, backend);
}

Tensor head_weight(const WeightSource& source, DType compute, Backend& backend) {
    if (source.graph().head() < 0) return {};
    return backend.convert(source.weight(source.graph().head()), compute);
}

}  // namespace jlcm
