#include "core/formats/onnx.hpp"

#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/formats/onnx_batch_norm.hpp"
#include "core/formats/onnx_lowering.hpp"
#include "core/formats/preprocess_file.hpp"
#include "core/graph/graph_json.hpp"

namespace jlcm {
namespace {

/// The graph at any batch size: what is the same at two of them does not depend on it.
LoweredOnnx lower_at_any_batch(const OnnxModel& model) {
    LoweredOnnx lowered = lower_onnx(model, 1009);
    require(to_json(lowered.graph) == to_json(lower_onnx(model, 1013).graph),
            "what the model computes depends on the batch size in a way that is not supported");
    return lowered;
}

LoweredOnnx lower(const OnnxModel& model) {
    const bool batch_is_open = !model.input_shape.empty() && model.input_shape.front() < 0;
    try {
        return lower_at_any_batch(model);
    } catch (const Error&) {
        // A file for one batch size may have it in its constants.
        if (batch_is_open) throw;
        return lower_onnx(model, 0);
    }
}

}  // namespace

Checkpoint read_onnx_checkpoint(const std::filesystem::path& path, const OnnxOptions& options) {
    try {
        const MappedFile file(path);
        OnnxModel model = parse_onnx(file.bytes());
        if (options.fold_batch_norm) fold_batch_norms(model);
        LoweredOnnx lowered = lower(model);
        Checkpoint checkpoint;
        checkpoint.config = {{"model_type", "graph"}, {"graph", to_json(lowered.graph)}};
        for (auto& [name, tensor] : lowered.weights) {
            const auto owner = std::make_shared<const Tensor>(tensor);
            StoredTensor stored;
            stored.name = name;
            stored.shape = tensor.shape();
            stored.encoding = Encoding::f32;
            stored.bytes = owner->bytes();
            checkpoint.tensors.emplace(name, stored);
            checkpoint.owners.push_back(owner);
        }
        const bool is_named = path.stem() != "model" || !path.has_parent_path();
        checkpoint.extra["name"] = (is_named ? path.stem() : path.parent_path().filename()).string();
        checkpoint.description = fmt::format("ONNX, opset {}, F32", model.opset);
        checkpoint.sha256 = sha256(file.bytes());
        add_preprocess_file(checkpoint, path);
        return checkpoint;
    } catch (const Error& error) {
        throw error.within(path.string());
    }
}

}  // namespace jlcm
