#include "core/formats/onnx.hpp"

#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/formats/onnx_batch_norm.hpp"
#include "core/formats/onnx_lowering.hpp"
#include "core/formats/preprocess_file.hpp"
#include "core/graph/graph_json.hpp"

#include <algorithm>

#include <fmt/ranges.h>

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

/// "'p' [n, 10]", its shape worked out where the file does not state it.
std::string describe_output(const OnnxModel& model, const std::string& name) {
    if (const auto found = model.output_shapes.find(name); found != model.output_shapes.end())
        return fmt::format("'{}' {}", name, found->second);
    try {
        OnnxModel part = model;
        part.outputs = {name};
        const Graph graph = lower(part).graph;
        const Shape shape = graph.infer(graph.input_shape()).at(static_cast<std::size_t>(graph.features()));
        std::vector<std::string> sizes{"n"};
        for (std::size_t d = 1; d < shape.size(); ++d) sizes.push_back(std::to_string(shape[d]));
        return fmt::format("'{}' [{}]", name, fmt::join(sizes, ", "));
    } catch (const Error&) {
        return fmt::format("'{}' (its shape is not known)", name);
    }
}

/// Leaves the output that is asked for, and returns what is said of it.
OutputChoice choose_output(OnnxModel& model, const std::vector<OutputChoice>& choices) {
    const auto all = [&] {
        std::vector<std::string> list;
        for (const std::string& name : model.outputs) list.push_back(describe_output(model, name));
        return fmt::format("{}", fmt::join(list, ", "));
    };
    if (choices.empty()) {
        if (model.outputs.size() > 1)
            fail(
                "the model has {} outputs, and one can be compressed and compared: {}. Choose it: "
                "model.outputs: [{{name: {}}}] in a spec, --output {} of jlcm-eval",
                model.outputs.size(), all(), model.outputs.front(), model.outputs.front());
        return {.name = model.outputs.front(), .meaning = {}, .axis = {}};
    }
    require(choices.size() == 1, "model.outputs names {} outputs; one is supported", choices.size());
    OutputChoice choice = choices.front();
    if (choice.name.empty() && model.outputs.size() == 1) choice.name = model.outputs.front();
    if (!std::ranges::count(model.outputs, choice.name))
        fail("the model has no output '{}'; it has {}", choice.name, all());
    model.outputs = {choice.name};
    return choice;
}

/// extra["left_out"]; null where everything with weights was taken.
nlohmann::json left_out_record(const OnnxModel& model, const std::vector<std::string>& outputs) {
    const LeftOut left = left_out(model);
    if (outputs.empty() && left.weights == 0) return {};
    return {{"outputs", outputs},
            {"nodes", left.nodes},
            {"weights", left.weights},
            {"bytes", left.bytes},
            {"tensors", left.tensors}};
}

}  // namespace

Checkpoint read_onnx_checkpoint(const std::filesystem::path& path, const OnnxOptions& options) {
    try {
        const MappedFile file(path);
        OnnxModel model = parse_onnx(file.bytes());
        std::vector<std::string> dropped = model.outputs;
        const OutputChoice choice = choose_output(model, options.read.outputs);
        std::erase(dropped, choice.name);
        auto left = left_out_record(model, dropped);
        if (options.fold_batch_norm) fold_batch_norms(model);
        LoweredOnnx lowered = lower(model);
        state_output(lowered.graph, choice.name, choice);
        Checkpoint checkpoint;
        if (!left.is_null()) checkpoint.extra["left_out"] = std::move(left);
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
