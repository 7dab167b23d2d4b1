// Matrix products.
#include "core/formats/onnx_context.hpp"

#include <algorithm>

namespace jlcm::onnx_rules {
namespace {

/// y = x W^T + b of a value whose features are its last dimension.
Value linear(Context& context, const OnnxNode& node, ValueId x, const std::string& name,
             const OnnxTensor& weight, const std::optional<ParameterId>& bias) {
    std::vector<ParameterId> parameters{
        context.parameter(name, "linear", weight.shape, weight.floats(), true)};
    if (bias) parameters.push_back(*bias);
    return context.emit(node, make_linear(bias.has_value()), {x}, parameters);
}

void scale(std::vector<float>& values, double factor) {
    for (float& value : values) value *= static_cast<float>(factor);
}

void gemm(Context& context, const OnnxNode& node) {
    const Value a = context.input(node, 0);
    OnnxTensor b = context.constant(node, 1);
    require(a.rank() == 2 && b.shape.size() == 2, "factors of shape {} and {}", to_string(a.shape),
            to_string(b.shape));
    if (node.integer("transB", 0) == 0) b = moved(b, {1, 0});
    std::vector<float> values = b.floats();
    scale(values, node.number("alpha", 1));
    b.values = std::move(values);
    const std::int64_t outputs = b.shape[0];
    std::optional<ParameterId> bias;
    if (node.has_input(2)) {
        const OnnxTensor& c = context.constant(node, 2);
        const auto count = element_count(c.shape);
        require(count == 1 || (count == outputs && c.shape.back() == outputs),
                "the third factor has shape {}; one number, or one for each of {} outputs is supported",
                to_string(c.shape), outputs);
        std::vector<float> shift = c.floats();
        shift.resize(static_cast<std::size_t>(outputs), shift.front());
        scale(shift, node.number("beta", 1));
        bias = context.parameter(context.input(node, 2).name, "bias", {outputs}, shift);
    }
    const bool is_transposed = node.integer("transA", 0) != 0;
    const ValueId x =
        context.in_places(node, a, is_transposed ? std::vector<int>{1, 0} : std::vector<int>{0, 1});
    context.set(node, linear(context, node, x, context.input(node, 1).name, b, bias));
}

void matmul(Context& context, const OnnxNode& node) {
    const Value a = context.input(node, 0);
    const Value b = context.input(node, 1);
    if (b.constant && b.rank() == 2 && !a.constant && a.rank() >= 1) {
        context.set(node,
                    linear(context, node, context.plain(node, a), b.name, moved(*b.constant, {1, 0}), {}));
        return;
    }
    require(a.rank() >= 2 && b.rank() >= 2, "factors of shape {} and {}", to_string(a.shape),
            to_string(b.shape));
    const ValueId left = context.plain(node, a);
    const ValueId right = context.plain(node, b);
    context.set(node, context.emit(node, make_matmul(), {left, right}));
}

}  // namespace

void add_linear_rules(Rules& rules) {
    rules["Gemm"] = gemm;
    rules["MatMul"] = matmul;
}

}  // namespace jlcm::onnx_rules
