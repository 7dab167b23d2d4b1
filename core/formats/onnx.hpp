#pragma once
// ONNX files as checkpoints.

#include "core/formats/checkpoint.hpp"
#include "core/formats/input_choice.hpp"
#include "core/formats/onnx_lowering.hpp"

#include <set>

namespace jlcm {

struct OnnxOptions {
    bool fold_batch_norm = false;  ///< into the convolutions before them (onnx_batch_norm.hpp)
    ReadOptions read{};            ///< outputs to take, all unless some are named
    InputChoices inputs{};         ///< what the file leaves open of its inputs
};

/// The model of an ONNX file (opset 7 and later; external data beside the file or below). Each input that is no
/// constant has a dimension of samples: the first if it is open or 1, else the first that is. Sizes that the file
/// leaves open are those of `options.inputs`. Several inputs, and several outputs, are records
/// (core/graph/record.hpp). A file for a fixed number of samples is opened for any number; if it cannot be, or if its
/// result for a sample depends on the other samples, samples run one by one (Graph::one_by_one), each what the file
/// takes at a time. `config` is
/// {"model_type": "graph", "graph": graph_json.hpp}; `tensors` are float32 by the names of the file's
/// initializers, weights of convolutions as matrices [outputs, taps * channels of a group]. It brings no
/// tokenizer. Whatever the outputs do not need is left out, and extra["left_out"] lists it. Input errors name
/// the node, its type and the opset of what is not supported.
[[nodiscard]] Checkpoint read_onnx_checkpoint(const std::filesystem::path& path,
                                              const OnnxOptions& options = {});

/// What an ONNX file becomes, for whoever puts other weights into it.
struct OnnxSource {
    LoweredOnnx lowered;
    std::int64_t opset = 0;
    std::string sha256;                       ///< as the checkpoint's
    std::uint64_t bytes = 0;                  ///< of the file and its external data
    std::vector<OnnxNode> changed_nodes;      ///< that folding batch norms changed, as they are then
    std::set<std::string> changed_constants;  ///< that it changed or made
};
[[nodiscard]] OnnxSource read_onnx_source(const std::filesystem::path& path, const OnnxOptions& options);

/// Of a parameter that holds a constant of the file: such values of it in the constant's own arrangement.
[[nodiscard]] std::vector<float> in_file_order(const OnnxOrigin& origin, std::span<const float> values);

}  // namespace jlcm
