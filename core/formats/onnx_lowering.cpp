#include "core/formats/onnx_lowering.hpp"

#include "core/formats/onnx_context.hpp"

#include <set>

namespace jlcm {
namespace {

using namespace onnx_rules;

const Rules& rules() {
    static const Rules table = [] {
        Rules all;
        add_convolution_rules(all);
        add_elementwise_rules(all);
        add_linear_rules(all);
        add_normalisation_rules(all);
        add_shape_rules(all);
        return all;
    }();
    return table;
}

/// The nodes that the first output needs, in order.
std::vector<const OnnxNode*> needed_nodes(const OnnxModel& model) {
    std::set<std::string, std::less<>> wanted{model.outputs.front()};
    std::vector<const OnnxNode*> nodes;
    for (auto node = model.nodes.rbegin(); node != model.nodes.rend(); ++node) {
        bool is_needed = false;
        for (const std::string& output : node->outputs) is_needed = is_needed || wanted.contains(output);
        if (!is_needed) continue;
        wanted.insert(node->inputs.begin(), node->inputs.end());
        nodes.push_back(&*node);
    }
    return {nodes.rbegin(), nodes.rend()};
}

bool fold_node(Context& context, const OnnxNode& node) {
    std::vector<const OnnxTensor*> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (!node.has_input(i)) {
            inputs.push_back(nullptr);
            continue;
        }
        const Value& value = context.input(node, i);
        if (!value.constant) return false;
        inputs.push_back(&*value.constant);
    }
    auto outputs = fold(node, context.opset(), inputs);
    if (!outputs) return false;
    for (std::size_t i = 0; i < outputs->size(); ++i) {
        Value value;
        value.constant = std::move((*outputs)[i]);
        context.set(node, i, std::move(value));
    }
    return true;
}

}  // namespace

LoweredOnnx lower_onnx(const OnnxModel& model, std::int64_t batch) {
    const auto nodes = needed_nodes(model);
    for (const OnnxNode* node : nodes)
        require(rules().contains(node->type), "node '{}' is a {} (opset {}), which is not supported",
                node->name, node->type, model.opset);
    Context context(model, batch);
    for (const OnnxNode* node : nodes) {
        try {
            if (!fold_node(context, *node)) rules().find(node->type)->second(context, *node);
        } catch (const Error& error) {
            throw error.within(
                fmt::format("node '{}', a {} (opset {})", node->name, node->type, model.opset));
        }
    }
    return context.finish();
}

}  // namespace jlcm
