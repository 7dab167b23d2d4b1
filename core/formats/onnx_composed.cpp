// Operators that are others one after the other: each step is lowered by the rule of its own operator.
#include "core/formats/onnx_context.hpp"

#include <cmath>
#include <numeric>

namespace jlcm::onnx_rules {
namespace {

class Steps {
  public:
    Steps(Context& context, const OnnxNode& node) : context_(context), node_(node) {}

    /// The name of what a node of this type makes of values by name.
    std::string apply(const std::string& type, std::vector<std::string> inputs,
                      std::map<std::string, OnnxAttribute> attributes = {}) {
        const OnnxNode step{.name = next_name(),
                            .type = type,
                            .inputs = std::move(inputs),
                            .outputs = {fmt::format("{}/{}", node_.outputs.front(), count_)},
                            .attributes = std::move(attributes)};
        rule_of(type)(context_, step);
        return step.outputs.front();
    }
    std::string constant(OnnxTensor tensor) {
        const OnnxNode step{.name = next_name(),
                            .type = "Constant",
                            .inputs = {},
                            .outputs = {fmt::format("{}/{}", node_.outputs.front(), count_)},
                            .attributes = {}};
        context_.set(step, known("", std::move(tensor)));
        return step.outputs.front();
    }
    std::string number(double value) { return constant({{}, std::vector<float>{static_cast<float>(value)}}); }
    std::string list(Integers values) {
        const auto size = std::ssize(values);
        return constant({{size}, std::move(values)});
    }
    void finish(const std::string& name) { context_.set(node_, *context_.find(name)); }

    [[nodiscard]] const Value& input(std::size_t i) const { return context_.input(node_, i); }
    [[nodiscard]] const std::string& name(std::size_t i) const { return input(i).name; }

  private:
    std::string next_name() { return fmt::format("{}.{}", node_.name, ++count_); }

    Context& context_;
    const OnnxNode& node_;
    int count_ = 0;
};

/// Klambauer et al., "Self-normalizing neural networks", 2017.
void selu(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const auto alpha = static_cast<float>(node.number("alpha", 1.67326319217681884765625));
    const std::string x = steps.apply("Elu", {steps.name(0)}, {{"alpha", alpha}});
    steps.finish(steps.apply("Mul", {x, steps.number(node.number("gamma", 1.05070102214813232421875))}));
}

void celu(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const std::string alpha = steps.number(node.number("alpha", 1));
    const std::string x = steps.apply("Elu", {steps.apply("Div", {steps.name(0), alpha})});
    steps.finish(steps.apply("Mul", {x, alpha}));
}

void softsign(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const std::string size = steps.apply("Add", {steps.apply("Abs", {steps.name(0)}), steps.number(1)});
    steps.finish(steps.apply("Div", {steps.name(0), size}));
}

void thresholded_relu(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const std::string passes = steps.apply("Greater", {steps.name(0), steps.number(node.number("alpha", 1))});
    steps.finish(steps.apply("Where", {passes, steps.name(0), steps.number(0)}));
}

void shrink(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const double width = node.number("lambd", 0.5);
    const std::string bias = steps.number(node.number("bias", 0));
    const std::string low =
        steps.apply("Where", {steps.apply("Less", {steps.name(0), steps.number(-width)}),
                              steps.apply("Add", {steps.name(0), bias}), steps.number(0)});
    steps.finish(steps.apply("Where", {steps.apply("Greater", {steps.name(0), steps.number(width)}),
                                       steps.apply("Sub", {steps.name(0), bias}), low}));
}

void tangent(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    steps.finish(
        steps.apply("Div", {steps.apply("Sin", {steps.name(0)}), steps.apply("Cos", {steps.name(0)})}));
}

/// The logarithm of a sum of exponentials, as far from overflow as the largest allows.
void reduce_log_sum_exp(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const auto axes = context.integers(node, "axes", 1).value_or(Integers());
    std::map<std::string, OnnxAttribute> kept{{"keepdims", std::int64_t{1}}};
    std::map<std::string, OnnxAttribute> given{{"keepdims", node.integer("keepdims", 1)}};
    if (!axes.empty()) kept["axes"] = given["axes"] = axes;
    const std::string largest = steps.apply("ReduceMax", {steps.name(0)}, kept);
    const std::string powers = steps.apply("Exp", {steps.apply("Sub", {steps.name(0), largest})});
    const std::string sum = steps.apply("Log", {steps.apply("ReduceSum", {powers}, given)});
    steps.finish(steps.apply("Add", {sum, steps.apply("ReduceMax", {steps.name(0)}, given)}));
}

void reduce_log_sum(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    OnnxNode sum = node;
    sum.outputs.front() += ".sum";
    rule_of("ReduceSum")(context, sum);
    steps.finish(steps.apply("Log", {sum.outputs.front()}));
}

void lp_normalization(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const std::int64_t p = node.integer("p", 2);
    require(p == 1 || p == 2, "a norm of order {}", p);
    const std::string norm =
        steps.apply(p == 1 ? "ReduceL1" : "ReduceL2", {steps.name(0)},
                    {{"axes", Integers{node.integer("axis", -1)}}, {"keepdims", std::int64_t{1}}});
    steps.finish(steps.apply("Div", {steps.name(0), norm}));
}

void mean_variance_normalization(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const std::map<std::string, OnnxAttribute> over{{"axes", node.integers("axes", {0, 2, 3})}};
    const std::string centred =
        steps.apply("Sub", {steps.name(0), steps.apply("ReduceMean", {steps.name(0)}, over)});
    const std::string variance = steps.apply("ReduceMean", {steps.apply("Mul", {centred, centred})}, over);
    const std::string deviation = steps.apply("Add", {steps.apply("Sqrt", {variance}), steps.number(1e-9)});
    steps.finish(steps.apply("Div", {centred, deviation}));
}

/// Zhang & Sennrich, "Root mean square layer normalization", 2019.
void rms_normalization(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const std::size_t rank = steps.input(0).rank();
    Integers axes(rank - axis_of(node.integer("axis", -1), rank));
    std::iota(axes.begin(), axes.end(), -std::ssize(axes));
    const std::string square =
        steps.apply("ReduceMean", {steps.apply("Mul", {steps.name(0), steps.name(0)})}, {{"axes", axes}});
    const std::string raised = steps.apply("Add", {square, steps.number(node.number("epsilon", 1e-5F))});
    const std::string normed = steps.apply("Div", {steps.name(0), steps.apply("Sqrt", {raised})});
    steps.finish(steps.apply("Mul", {normed, steps.name(1)}));
}

/// Wu & He, "Group normalization", 2018. Scales are those of groups up to opset 20, of channels from 21 on.
void group_normalization(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const Shape shape = steps.input(0).shape;
    const std::int64_t groups = node.integer("num_groups", 0);
    require(shape.size() >= 3 && groups > 0 && shape[1] % groups == 0, "{} groups of shape {}", groups,
            to_string(shape));
    const auto all = [&](float value) {
        return steps.constant({{groups}, std::vector<float>(static_cast<std::size_t>(groups), value)});
    };
    const std::string rows = steps.apply("Reshape", {steps.name(0), steps.list({0, groups, -1})});
    std::string y = steps.apply("InstanceNormalization", {rows, all(1), all(0)},
                                {{"epsilon", static_cast<float>(node.number("epsilon", 1e-5F))}});
    Integers back = shape;
    back.front() = 0;
    y = steps.apply("Reshape", {y, steps.list(back)});
    for (const std::size_t i : {1, 2}) {
        const std::vector<float>& given = context.constant(node, i).floats();
        const std::int64_t each = shape[1] / std::max<std::int64_t>(std::ssize(given), 1);
        require(each * std::ssize(given) == shape[1], "{} numbers for {} channels", given.size(), shape[1]);
        Shape along(shape.size() - 1, 1);
        along.front() = shape[1];
        std::vector<float> numbers;
        for (std::int64_t c = 0; c < shape[1]; ++c)
            numbers.push_back(given[static_cast<std::size_t>(c / each)]);
        y = steps.apply(i == 1 ? "Mul" : "Add", {y, steps.constant({along, std::move(numbers)})});
    }
    steps.finish(y);
}

/// Of the last two dimensions, what lies on or above a diagonal, or on or below it.
void triangle(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const Shape& shape = steps.input(0).shape;
    require(shape.size() >= 2, "a triangle of shape {}", to_string(shape));
    const bool is_upper = node.integer("upper", 1) != 0;
    const std::int64_t diagonal = node.has_input(1) ? static_cast<std::int64_t>(context.number(node, 1)) : 0;
    const std::int64_t rows = shape[shape.size() - 2];
    const std::int64_t columns = shape.back();
    require(!context.is_batch(rows) && !context.is_batch(columns), "it goes along the dimension of samples");
    Integers stays;
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < columns; ++c)
            stays.push_back((is_upper ? c - r >= diagonal : c - r <= diagonal) ? 1 : 0);
    steps.finish(steps.apply(
        "Where", {steps.constant({{rows, columns}, std::move(stays)}), steps.name(0), steps.number(0)}));
}

/// One of `depth` places has the second of two values, all others the first.
void one_hot(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const auto depth = static_cast<std::int64_t>(context.number(node, 1));
    const OnnxTensor& values = context.constant(node, 2);
    require(depth > 0 && depth < 1 << 24 && element_count(values.shape) == 2, "a depth of {}", depth);
    const std::size_t rank = steps.input(0).rank() + 1;
    const std::size_t axis = axis_of(node.integer("axis", -1), rank);
    const std::string number = steps.number(static_cast<double>(depth));
    const std::string below = steps.apply("Less", {steps.name(0), steps.number(0)});
    const std::string place =
        steps.apply("Where", {below, steps.apply("Add", {steps.name(0), number}), steps.name(0)});
    const std::string apart =
        steps.apply("Unsqueeze", {place, steps.list({static_cast<std::int64_t>(axis)})});
    Shape along(rank - axis, 1);
    along.front() = depth;
    std::vector<float> places(static_cast<std::size_t>(depth));
    std::iota(places.begin(), places.end(), 0.0F);
    const std::string is_it = steps.apply("Equal", {apart, steps.constant({along, std::move(places)})});
    const std::vector<float> numbers = as_numbers(values);
    steps.finish(steps.apply("Where", {is_it, steps.number(static_cast<double>(numbers[1])),
                                       steps.number(static_cast<double>(numbers[0]))}));
}

/// What is left of a division, with the sign of the divisor (of the dividend where `fmod`).
void remainder(Context& context, const OnnxNode& node) {
    Steps steps(context, node);
    const std::string ratio = steps.apply("Div", {steps.name(0), steps.name(1)});
    std::string whole = steps.apply("Floor", {ratio});
    if (node.integer("fmod", 0) != 0) {
        const std::string positive = steps.apply("Floor", {steps.apply("Abs", {ratio})});
        whole = steps.apply("Mul", {positive, steps.apply("Sign", {ratio})});
    }
    steps.finish(steps.apply("Sub", {steps.name(0), steps.apply("Mul", {whole, steps.name(1)})}));
}

}  // namespace

void add_composed_rules(Rules& rules) {
    rules["Selu"] = selu;
    rules["Celu"] = celu;
    rules["Softsign"] = softsign;
    rules["ThresholdedRelu"] = thresholded_relu;
    rules["Shrink"] = shrink;
    rules["Tan"] = tangent;
    rules["Mod"] = remainder;
    rules["ReduceLogSum"] = reduce_log_sum;
    rules["ReduceLogSumExp"] = reduce_log_sum_exp;
    rules["LpNormalization"] = lp_normalization;
    rules["MeanVarianceNormalization"] = mean_variance_normalization;
    rules["RMSNormalization"] = rms_normalization;
    rules["GroupNormalization"] = group_normalization;
    rules["Trilu"] = triangle;
    rules["OneHot"] = one_hot;
}

}  // namespace jlcm::onnx_rules
