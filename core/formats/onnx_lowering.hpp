#pragma once
// ONNX nodes lowered to the operators of the graph.

#include "core/backend/backend.hpp"
#include "core/formats/onnx_model.hpp"
#include "core/graph/graph.hpp"

namespace jlcm {

struct LoweredOnnx {
    Graph graph;                            ///< without blocks
    std::map<std::string, Tensor> weights;  ///< float32, by the parameters' names
};

/// What the first output does not need, and the graph thus has not.
struct LeftOut {
    std::int64_t nodes = 0;
    std::int64_t weights = 0;          ///< numbers of floating-point type
    std::uint64_t bytes = 0;           ///< that they take in the file
    std::vector<std::string> tensors;  ///< that hold them, by name
};
[[nodiscard]] LeftOut left_out(const OnnxModel& model);

/// Lowers what the first output needs. Shape arithmetic and all else that is known without the input
/// vanishes. Images become channels-last, the weights' columns with them. One input error names every node
/// that is not supported, with its type, the opset and the reason.
///
/// `batch`: the size of the input's first dimension at which shapes are worked out; dimensions that are
/// multiples of it are left open in the graph, so take a large prime. Constant shapes of a model whose own
/// batch is fixed are read as those of one batch among many. 0: the model's own, and nothing is left open.
/// `backend` runs nodes whose inputs are all known and that have no folding rule.
[[nodiscard]] LoweredOnnx lower_onnx(const OnnxModel& model, std::int64_t batch, Backend& backend);

}  // namespace jlcm
