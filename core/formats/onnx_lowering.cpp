#include "core/formats/onnx_lowering.hpp"

#include "core/formats/onnx_context.hpp"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>

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

/// Its inputs, if they are all known and what it makes of them is too.
std::optional<std::vector<const OnnxTensor*>> known_inputs(const Context& context, const OnnxNode& node) {
    std::vector<const OnnxTensor*> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const OnnxTensor* constant = node.has_input(i) ? context.input(node, i).constant.get() : nullptr;
        if (node.has_input(i) && constant == nullptr) return std::nullopt;
        inputs.push_back(constant);
    }
    if (repeats_for_samples(context, node)) return std::nullopt;
    return inputs;
}

/// Lowers nodes one after the other.
class Lowering {
  public:
    Lowering(const OnnxModel& model, std::int64_t batch, Backend& backend, Needed needed)
        : context_(model, batch, backend), left_(most_folded(model)) {
        context_.set_needed(std::move(needed.values));
    }

    void lower(const OnnxNode& node) {
        const auto found = rules().find(node.type);
        const Rule rule = found == rules().end() ? nullptr : found->second;
        require(rule != nullptr || can_fold(node.type),
                "not supported; an export at another opset, or a simplified one, may do without it");
        // What made an input was refused already.
        if (!context_.has_inputs(node)) return;
        if (const auto inputs = known_inputs(context_, node)) {
            if (auto folded = fold(node, context_.opset(), *inputs)) {
                for (std::size_t i = 0; i < folded->size(); ++i) keep(node, i, std::move((*folded)[i]));
            } else {
                auto made = run_on_constants(context_, node, rule);
                for (std::size_t i = 0; i < made.size(); ++i)
                    if (made[i]) keep(node, i, std::move(*made[i]));
            }
        } else {
            require(rule != nullptr, "only supported where it does not depend on the model's input");
            rule(context_, node);
        }
        for (std::size_t i = 0; i < node.outputs.size(); ++i)
            require(node.outputs[i].empty() || !context_.is_needed(node.outputs[i]) ||
                        context_.find(node.outputs[i]) != nullptr,
                    "its output {} ('{}') is not supported", i, node.outputs[i]);
    }

    [[nodiscard]] LoweredOnnx finish() { return context_.finish(); }

  private:
    void keep(const OnnxNode& node, std::size_t output, OnnxTensor tensor) {
        left_ -= element_count(tensor.shape);
        require(left_ >= 0, "the constants of the model become too large");
        context_.set(node, output, known("", std::move(tensor)));
    }

    Context context_;
    std::int64_t left_;  ///< elements that may still be made
};

/// What is wrong with nodes, alike ones together.
class RefusedNodes {
  public:
    void add(const OnnxNode& node, const std::string& reason) {
        for (Refusal& each : refusals_) {
            if (each.type != node.type || each.reason != reason) continue;
            each.names.push_back(node.name);
            return;
        }
        refusals_.push_back({node.type, reason, {node.name}});
    }
    void throw_if_any(std::int64_t opset) const {
        if (refusals_.empty()) return;
        std::vector<std::string> lines;
        for (const Refusal& each : refusals_) lines.push_back(line_of(each, opset));
        if (lines.size() == 1) fail("{}", lines.front());
        fail("{} kinds of nodes cannot be taken over:\n  {}", lines.size(), fmt::join(lines, "\n  "));
    }

  private:
    struct Refusal {
        std::string type;
        std::string reason;
        std::vector<std::string> names;
    };
    static std::string line_of(const Refusal& each, std::int64_t opset) {
        constexpr std::size_t most_names = 4;
        std::string names;
        for (std::size_t i = 0; i < std::min(each.names.size(), most_names); ++i)
            names += fmt::format("{}'{}'", i == 0 ? "" : ", ", each.names[i]);
        if (each.names.size() == 1)
            return fmt::format("node {}, a {} (opset {}): {}", names, each.type, opset, each.reason);
        if (each.names.size() > most_names)
            names += fmt::format(" and {} more", each.names.size() - most_names);
        return fmt::format("nodes {}, each a {} (opset {}): {}", names, each.type, opset, each.reason);
    }
    std::vector<Refusal> refusals_;
};

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

LoweredOnnx lower_onnx(const OnnxModel& model, std::int64_t batch, Backend& backend) {
    Needed needed = needed_for_output(model);
    const std::vector<const OnnxNode*> nodes = std::move(needed.nodes);
    Lowering lowering(model, batch, backend, std::move(needed));
    RefusedNodes refusals;
    for (const OnnxNode* node : nodes) {
        try {
            lowering.lower(*node);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::input)
                throw error.within(
                    fmt::format("node '{}', a {} (opset {})", node->name, node->type, model.opset));
            refusals.add(*node, error.what());
        }
    }
    refusals.throw_if_any(model.opset);
    return lowering.finish();
}

}  // namespace jlcm
