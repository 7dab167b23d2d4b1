// Operators on constants that have no folding rule: the node is lowered by itself, and its graph is run.
#include "core/formats/onnx_context.hpp"
#include "core/graph/execution.hpp"

#include <algorithm>

namespace jlcm::onnx_rules {
namespace {

/// Of what a small file may ask for.
constexpr double most_elements = 1 << 26;
constexpr double most_operations = 4e10;

/// In float64, so that what comes out is right to the last bit of float32, or nearly.
OnnxTensor value_of(const LoweredOnnx& lowered, const Weights& weights, ValueId id, Backend& backend) {
    const Graph& graph = lowered.graph;
    const Tensor result = Executor(graph, backend, DType::f64)
                              .forward(graph.whole(id), weights, Tensor::zeros({1}, DType::f64));
    const auto values = result.values<double>();
    std::vector<float> rounded(values.size());
    std::ranges::transform(values, rounded.begin(), [](double value) { return static_cast<float>(value); });
    return {result.shape(), std::move(rounded)};
}

}  // namespace

std::vector<std::optional<OnnxTensor>> run_on_constants(const Context& context, const OnnxNode& node,
                                                        Rule rule) {
    Context alone(context, node);
    rule(alone, node);
    std::vector<Value> outputs(node.outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const Value* value = alone.is_needed(node.outputs[i]) ? alone.find(node.outputs[i]) : nullptr;
        if (value == nullptr) continue;
        outputs[i] = *value;
        if (!value->constant) outputs[i].id = alone.plain(node, *value);
    }
    const LoweredOnnx& lowered = alone.lowered();
    const double operations = lowered.graph.flops({0, lowered.graph.node_count()}, {1});
    require(alone.elements() <= most_elements && operations <= most_operations,
            "on constants, it asks for {:.0f} elements and {:.0f} operations, which is too much",
            alone.elements(), operations);
    Weights weights(lowered.graph);
    for (ParameterId id = 0; id < static_cast<ParameterId>(lowered.graph.parameters().size()); ++id)
        weights.bind(id, lowered.weights.at(lowered.graph.parameter(id).name).to(DType::f64));
    std::vector<std::optional<OnnxTensor>> results(outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (outputs[i].constant) {
            results[i] = *outputs[i].constant;
        } else if (outputs[i].id >= 0) {
            results[i] = value_of(lowered, weights, outputs[i].id, context.backend());
        }
    }
    return results;
}

}  // namespace jlcm::onnx_rules
