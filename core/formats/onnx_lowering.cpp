#include "core/formats/onnx_lowering.hpp"

#include "core/formats/onnx_context.hpp"

#include <algorithm>
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
        add_resize_rules(all);
        add_shape_rules(all);
        return all;
    }();
    return table;
}

/// What the first output needs: values by name, and nodes in order.
struct Needed {
    std::set<std::string, std::less<>> values;
    std::vector<const OnnxNode*> nodes;
};
Needed needed_for_output(const OnnxModel& model) {
    Needed needed{{model.outputs.front()}, {}};
    for (auto node = model.nodes.rbegin(); node != model.nodes.rend(); ++node) {
        bool is_needed = false;
        for (const std::string& output : node->outputs)
            is_needed = is_needed || needed.values.contains(output);
        if (!is_needed) continue;
        needed.values.insert(node->inputs.begin(), node->inputs.end());
        needed.nodes.push_back(&*node);
    }
    std::ranges::reverse(needed.nodes);
    return needed;
}

/// Elements that folding may make in all, so that a small file does not fill memory: its own several times
/// over, and what arithmetic on shapes needs.
std::int64_t most_folded(const OnnxModel& model) {
    std::int64_t most = std::int64_t{1} << 26;
    for (const auto& [name, constant] : model.constants) most += 16 * element_count(constant.shape);
    return most;
}

/// Whether it repeats numbers for each sample, so that what it makes is not known before the number of
/// samples.
bool repeats_for_samples(const Context& context, const OnnxNode& node) {
    if (node.type != "Expand" || !context.constant(node, 0).is_float()) return false;
    const auto& shape = context.constant(node, 1).integers();
    return std::ranges::any_of(shape, [&](std::int64_t size) { return context.is_batch(size); });
}

/// Takes what it makes off `left`.
bool fold_node(Context& context, const OnnxNode& node, std::int64_t& left) {
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
    if (repeats_for_samples(context, node)) return false;
    auto outputs = fold(node, context.opset(), inputs);
    if (!outputs) return false;
    for (std::size_t i = 0; i < outputs->size(); ++i) {
        Value value;
        left -= element_count((*outputs)[i].shape);
        require(left >= 0, "the constants of the model become too large");
        value.constant = std::move((*outputs)[i]);
        context.set(node, i, std::move(value));
    }
    return true;
}

}  // namespace

LeftOut left_out(const OnnxModel& model) {
    const Needed needed = needed_for_output(model);
    const std::set<const OnnxNode*> kept(needed.nodes.begin(), needed.nodes.end());
    LeftOut result;
    const auto drop = [&](const std::string& name, const OnnxTensor& tensor) {
        if (!tensor.is_float()) return;
        result.weights += element_count(tensor.shape);
        result.bytes += tensor.file_bytes;
        result.tensors.push_back(name);
    };
    for (const auto& [name, tensor] : model.constants)
        if (!needed.values.contains(name)) drop(name, tensor);
    for (const OnnxNode& node : model.nodes) {
        if (kept.contains(&node)) continue;
        ++result.nodes;
        for (const auto& [key, attribute] : node.attributes)
            if (const auto* tensor = std::get_if<OnnxTensor>(&attribute)) drop(node.name, *tensor);
    }
    return result;
}

LoweredOnnx lower_onnx(const OnnxModel& model, std::int64_t batch) {
    Needed needed = needed_for_output(model);
    for (const OnnxNode* node : needed.nodes)
        require(rules().contains(node->type) || can_fold(node->type),
                "node '{}' is a {} (opset {}), which is not supported", node->name, node->type, model.opset);
    Context context(model, batch);
    context.set_needed(std::move(needed.values));
    std::int64_t left = most_folded(model);
    for (const OnnxNode* node : needed.nodes) {
        try {
            if (fold_node(context, *node, left)) continue;
            const auto rule = rules().find(node->type);
            require(rule != rules().end(), "only supported where it does not depend on the model's input");
            rule->second(context, *node);
        } catch (const Error& error) {
            throw error.within(
                fmt::format("node '{}', a {} (opset {})", node->name, node->type, model.opset));
        }
    }
    return context.finish();
}

}  // namespace jlcm
