#pragma once
// ONNX nodes lowered to the operators of the graph.

#include "core/backend/backend.hpp"
#include "core/formats/onnx_model.hpp"
#include "core/graph/graph.hpp"

#include <optional>
#include <utility>

namespace jlcm {

/// How a parameter's elements are arranged: those of a constant, seen as `shape`, whose dimension d becomes
/// dimension places[d], times `factor`.
struct OnnxArrangement {
    Shape shape{};              ///< empty: of the parameter, nothing moves
    std::vector<int> places{};  ///< empty: nothing moves
    double factor = 1;
};

/// The constant of the file that a parameter holds, so that another value of it can be put in its place.
struct OnnxOrigin {
    std::string value;  ///< its name: an initializer, or what a node makes of constants
    Shape shape;        ///< that it has there
    OnnxArrangement arrangement;
    std::vector<std::string> readers;  ///< nodes that read it as this parameter: their first outputs
    /// Where the parameter holds a part of the constant alone: the first of its elements.
    std::optional<std::int64_t> first{};
    /// Elements of the constant, from .first on as many as .second says, that the parameter's have been added to: the
    /// file has them apart.
    std::pair<std::int64_t, std::int64_t> added{};
    /// The constant holds integers, and the parameter what they stand for up to a scale; `readers` multiply with them.
    bool is_levels = false;
};

/// An output of the file, and the value that holds it, the dimension of samples first.
struct LoweredOutput {
    std::string name;
    ValueId value = -1;
};

struct LoweredOnnx {
    Graph graph;                                ///< without blocks; its features are the output, if it is one
    std::vector<LoweredOutput> outputs;         ///< that the input has a part in
    std::map<std::string, Tensor> weights;      ///< float32, by the parameters' names
    std::map<std::string, OnnxOrigin> origins;  ///< of those parameters that hold a constant of the file
};

/// What the outputs do not need, and the graph thus has not.
struct LeftOut {
    std::int64_t nodes = 0;
    std::int64_t weights = 0;          ///< numbers of floating-point type
    std::uint64_t bytes = 0;           ///< that they take in the file
    std::vector<std::string> tensors;  ///< that hold them, by name
};
[[nodiscard]] LeftOut left_out(const OnnxModel& model);

/// Lowers what the outputs need. Several inputs become parts of the graph's one (core/graph/record.hpp). Shape arithmetic and all else that is known without the input
/// vanishes. Images become channels-last, the weights' columns with them. One input error names every node
/// that is not supported, with its type, the opset and the reason.
///
/// `batch`: the number of samples at which shapes are worked out; dimensions that are
/// multiples of it are left open in the graph, so take a large prime. Constant shapes of a model whose own
/// batch is fixed are read as those of one batch among many. 0: the model's own, and nothing is left open.
/// `backend` runs nodes whose inputs are all known and that have no folding rule. `other`: of the same model at another
/// batch; weights that are the same share its memory.
[[nodiscard]] LoweredOnnx lower_onnx(const OnnxModel& model, std::int64_t batch, Backend& backend,
                                     const LoweredOnnx* other = nullptr);

}  // namespace jlcm
