#pragma once
// Running lowered ONNX models in tests.

#include "core/base/files.hpp"
#include "core/formats/onnx_lowering.hpp"
#include "core/graph/execution.hpp"

namespace jlcm::test {

/// What the graph makes of `input`, its weights and the input in `type`.
inline Tensor run(const LoweredOnnx& model, const Tensor& input, DType type = DType::f32) {
    const Graph& graph = model.graph;
    Weights weights(graph);
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id)
        weights.bind(id, model.weights.at(graph.parameter(id).name).to(type));
    return Executor(graph, cpu_backend(), type).forward(graph.body(), weights, input.to(type));
}

inline OnnxTensor onnx_tensor(const std::filesystem::path& path) {
    return parse_onnx_tensor(MappedFile(path).bytes());
}

}  // namespace jlcm::test
