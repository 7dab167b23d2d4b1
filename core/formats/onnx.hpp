#pragma once
// ONNX files as checkpoints.

#include "core/formats/checkpoint.hpp"

namespace jlcm {

struct OnnxOptions {
    bool fold_batch_norm = false;  ///< into the convolutions before them (onnx_batch_norm.hpp)
    ReadOptions read{};            ///< a file of several outputs wants one of them named
};

/// The model of an ONNX file (opset 9 to 17, one float32 input whose first dimension is the batch). A file
/// for a fixed number of samples is opened for any number; if it cannot be, or if its result for a sample
/// depends on the other samples, an input error says what to do. `config` is
/// {"model_type": "graph", "graph": graph_json.hpp}; `tensors` are float32 by the names of the file's
/// initializers, weights of convolutions as matrices [outputs, taps * channels of a group]. It brings no
/// tokenizer. Whatever the output does not need is left out, and extra["left_out"] lists it. Input errors name
/// the node, its type and the opset of what is not supported, and all outputs if there are several and none is
/// chosen.
[[nodiscard]] Checkpoint read_onnx_checkpoint(const std::filesystem::path& path,
                                              const OnnxOptions& options = {});

}  // namespace jlcm
