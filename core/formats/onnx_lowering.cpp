#include "core/formats/onnx_lowering.hpp"

#include "core/formats/onnx_context.hpp"
#include "core/formats/onnx_definitions.hpp"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>

namespace jlcm {
namespace {

using namespace onnx_rules;

const Rules& rules() {
    static const Rules table = [] {
        Rules all;
        add_composed_rules(all);
        add_convolution_rules(all);
        add_elementwise_rules(all);
        add_linear_rules(all);
        add_logic_rules(all);
        add_normalisation_rules(all);
        add_quantization_rules(all);
        add_recurrent_rules(all);
        add_resize_rules(all);
        add_selection_rules(all);
        add_shape_rules(all);
        return all;
    }();
    return table;
}

using Names = std::set<std::string, std::less<>>;

/// Adds what a graph inside of a node reads to the names: its own values, and those around it.
void add_reads(const OnnxNode& node, Names& names) {
    names.insert(node.inputs.begin(), node.inputs.end());
    for (const auto& [key, attribute] : node.attributes) {
        const auto* body = std::get_if<std::shared_ptr<const OnnxGraph>>(&attribute);
        if (body == nullptr) continue;
        names.insert((*body)->outputs.begin(), (*body)->outputs.end());
        for (const OnnxNode& inner : (*body)->nodes) add_reads(inner, names);
    }
}

/// Nodes that the values need, in order; what they read is added to the values.
std::vector<const OnnxNode*> needed_for(const std::vector<OnnxNode>& nodes, Names& values) {
    std::vector<const OnnxNode*> needed;
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
        if (std::ranges::none_of(node->outputs,
                                 [&](const std::string& name) { return values.contains(name); }))
            continue;
        add_reads(*node, values);
        needed.push_back(&*node);
    }
    std::ranges::reverse(needed);
    return needed;
}

/// What the outputs need: values by name, and nodes in order.
struct Needed {
    Names values;
    std::vector<const OnnxNode*> nodes;
};
Needed needed_for_outputs(const OnnxModel& model) {
    Needed needed{{model.outputs.begin(), model.outputs.end()}, {}};
    needed.nodes = needed_for(model.nodes, needed.values);
    return needed;
}

/// What is to be done about a node that is not supported.
std::string remedy(const OnnxNode& node) {
    static const std::map<std::string, const char*, std::less<>> remedies{
        {"Loop",
         "loops are not supported; export with fixed sizes, so that they are unrolled (torch.jit.trace "
         "in place of script), or simplify the file (onnxsim)"},
        {"Scan",
         "loops are not supported; export with fixed sizes, so that they are unrolled (torch.jit.trace "
         "in place of script), or simplify the file (onnxsim)"},
        {"NonMaxSuppression",
         "how much it makes depends on the data; choose an output in front of it "
         "(model.outputs), or cut the file there (onnx.utils.extract_model)"},
        {"NonZero",
         "how much it makes depends on the data; choose an output in front of it (model.outputs), or cut "
         "the file there (onnx.utils.extract_model)"},
    };
    if (!node.domain.empty())
        return fmt::format(
            "an operator of the domain '{}', which is not ONNX's own; export without fused or "
            "quantised operators of a runtime",
            node.domain);
    const auto found = remedies.find(node.type);
    return found != remedies.end()
               ? found->second
               : "not supported; an export at another opset, or a simplified one (onnxsim), may do without it";
}

/// Whether outputs hold integers or truth values, where all of the inputs say `inputs` of theirs.
bool makes_integers(const OnnxNode& node, std::size_t output, bool inputs) {
    static const Names always{
        "Equal",       "Less",         "Greater", "LessOrEqual", "GreaterOrEqual", "And",    "Or",
        "Xor",         "Not",          "IsNaN",   "IsInf",       "ArgMax",         "ArgMin", "QuantizeLinear",
        "QLinearConv", "QLinearMatMul"};
    static const Names never{"DequantizeLinear"};
    if (node.type == "DynamicQuantizeLinear") return output != 1;
    if (node.type == "Cast") {
        const std::int64_t type = node.integer("to", 0);
        return type != 1 && type != 10 && type != 11 && type != 16;
    }
    if (node.type == "TopK" && output == 1) return true;
    return !never.contains(node.type) && (inputs || always.contains(node.type));
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
    const bool fills = node.type == "ConstantOfShape";
    if (!fills && node.type != "Expand") return false;
    const auto& shape = context.constant(node, fills ? 0 : 1).integers();
    // Integers of one dimension are arithmetic on shapes.
    if (!fills && shape.size() < 2 && !context.constant(node, 0).is_float()) return false;
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

/// Lowers nodes one after the other.
class Lowering {
  public:
    Lowering(const OnnxModel& model, std::int64_t batch, Backend& backend, Names needed,
             const LoweredOnnx* other)
        : context_(model, batch, backend, other), opset_(model.opset), left_(most_folded(model)) {
        context_.set_needed(std::move(needed));
    }

    /// What cannot be lowered is noted, and what depends on it passed over.
    void lower(const OnnxNode& node) {
        try {
            // Unknown operators are named behind refused ones too.
            const bool is_choice = node.type == "If" && node.domain.empty();
            const Rule rule = is_choice ? nullptr : known_rule(node);
            // What made an input was refused already.
            if (!context_.has_inputs(node)) return;
            if (is_choice) return choose_branch(node);
            lower_one(node, rule);
            for (std::size_t i = 0; i < node.outputs.size(); ++i)
                require(node.outputs[i].empty() || !context_.is_needed(node.outputs[i]) ||
                            context_.find(node.outputs[i]) != nullptr,
                        "its output {} ('{}') is not supported", i, node.outputs[i]);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::input)
                throw error.within(fmt::format("node '{}', a {} (opset {})", node.name, node.type, opset_));
            refusals_.add(node, error.what());
        }
    }

    [[nodiscard]] LoweredOnnx finish() {
        refusals_.throw_if_any(opset_);
        return context_.finish();
    }

  private:
    /// Null if the operator is known on constants alone; an input error if it is not known.
    [[nodiscard]] Rule known_rule(const OnnxNode& node) const {
        const auto found = node.domain.empty() ? rules().find(node.type) : rules().end();
        const Rule rule = found == rules().end() ? nullptr : found->second;
        if (rule == nullptr && (!node.domain.empty() || !can_fold(node.type))) fail("{}", remedy(node));
        require_known_definition(node, opset_);
        return rule;
    }

    void lower_one(const OnnxNode& node, Rule rule) {
        context_.load(node);
        try {
            lower_loaded(node, rule);
        } catch (...) {
            context_.unload();
            throw;
        }
        context_.unload();
    }

    void lower_loaded(const OnnxNode& node, Rule rule) {
        if (const auto inputs = known_inputs(context_, node)) {
            if (auto folded = fold(node, opset_, *inputs)) {
                for (std::size_t i = 0; i < folded->size(); ++i) keep(node, i, std::move((*folded)[i]));
            } else {
                auto made = run_on_constants(context_, node, rule);
                for (std::size_t i = 0; i < made.size(); ++i)
                    if (made[i]) keep(node, i, std::move(*made[i]));
            }
            return;
        }
        require(rule != nullptr, "only supported where it does not depend on the model's input");
        rule(context_, node);
        const bool integers = reads_integers(node);
        for (std::size_t i = 0; i < node.outputs.size(); ++i)
            context_.set_integer(node, i, makes_integers(node, i, integers));
    }

    /// Of the input that the output's type is that of.
    [[nodiscard]] bool reads_integers(const OnnxNode& node) const {
        if (node.type == "ConstantOfShape") {
            const auto found = node.attributes.find("value");
            const auto* value =
                found == node.attributes.end() ? nullptr : std::get_if<OnnxTensor>(&found->second);
            return value != nullptr && !value->is_float();
        }
        const std::size_t i = node.type == "Where" ? 1 : 0;
        if (!node.has_input(i)) return false;
        const Value& value = context_.input(node, i);
        return value.constant ? !value.constant->is_float() : value.is_integer;
    }

    /// The nodes of the branch of an If that its condition chooses, in place of it.
    void choose_branch(const OnnxNode& node) {
        require(context_.input(node, 0).constant != nullptr,
                "its condition depends on the model's input; make the input that it asks for a constant "
                "(model.inputs: {{NAME: {{value: 1}}}}), or export one branch");
        const char* key = context_.number(node, 0) != 0 ? "then_branch" : "else_branch";
        const auto found = node.attributes.find(key);
        const auto* body = found == node.attributes.end()
                               ? nullptr
                               : std::get_if<std::shared_ptr<const OnnxGraph>>(&found->second);
        require(body != nullptr && (*body)->outputs.size() >= node.outputs.size(), "it has no {}", key);
        context_.add_constants((*body)->constants);
        Names wanted;
        for (std::size_t i = 0; i < node.outputs.size(); ++i)
            if (context_.is_needed(node.outputs[i])) wanted.insert((*body)->outputs[i]);
        for (const OnnxNode* inner : needed_for((*body)->nodes, wanted)) lower(*inner);
        for (std::size_t i = 0; i < node.outputs.size(); ++i)
            if (const Value* value = context_.find((*body)->outputs[i])) context_.set(node, i, *value);
    }

    void keep(const OnnxNode& node, std::size_t output, OnnxTensor tensor) {
        left_ -= element_count(tensor.shape);
        require(left_ >= 0, "the constants of the model become too large");
        context_.set(node, output, known("", std::move(tensor)));
    }

    Context context_;
    std::int64_t opset_;
    std::int64_t left_;  ///< elements that may still be made
    RefusedNodes refusals_;
};

}  // namespace

onnx_rules::Rule onnx_rules::rule_of(std::string_view type) {
    const auto found = rules().find(type);
    ensure(found != rules().end(), "no rule for {}", type);
    return found->second;
}

LeftOut left_out(const OnnxModel& model) {
    const Needed needed = needed_for_outputs(model);
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

LoweredOnnx lower_onnx(const OnnxModel& model, std::int64_t batch, Backend& backend,
                       const LoweredOnnx* other) {
    Needed needed = needed_for_outputs(model);
    Lowering lowering(model, batch, backend, std::move(needed.values), other);
    for (const OnnxNode* node : needed.nodes) lowering.lower(*node);
    return lowering.finish();
}

}  // namespace jlcm
