// Matrix products.
#include "core/formats/onnx_context.hpp"

#include <algorithm>

namespace jlcm::onnx_rules {
namespace {

void gemm(Context& context, const OnnxNode& node) {
    const Value& a = context.input(node, 0);
    const OnnxTensor& b = context.constant(node, 1);
    require(a.rank() == 2 && b.shape.size() == 2, "factors of shape {} and {}", to_string(a.shape),
            to_string(b.shape));
    const bool a_is_transposed = node.integer("transA", 0) != 0;
    const bool b_is_transposed = node.integer("transB", 0) != 0;
    OnnxTensor weight = b_is_transposed ? b : moved(b, {1, 0});
    std::vector<float> values = weight.floats();
    const auto alpha = static_cast<float>(node.number("alpha", 1));
    for (float& value : values) value *= alpha;
    std::vector<ParameterId> parameters{
        context.parameter(context.input(node, 1).name, "linear", weight.shape, values, true)};
    const std::int64_t outputs = weight.shape[0];
    bool has_bias = false;
    if (node.has_input(2)) {
        const OnnxTensor& c = context.constant(node, 2);
        const auto count = element_count(c.shape);
        require(count == 1 || (count == outputs && !c.shape.empty() && c.shape.back() == outputs),
                "the third factor has shape {}; one number, or one for each of {} outputs is supported",
                to_string(c.shape), outputs);
        std::vector<float> bias = c.floats();
        bias.resize(static_cast<std::size_t>(outputs), bias.front());
        const auto beta = static_cast<float>(node.number("beta", 1));
        for (float& value : bias) value *= beta;
        parameters.push_back(context.parameter(context.input(node, 2).name, "bias", {outputs}, bias));
        has_bias = true;
    }
    const std::vector<int> rows_first = a_is_transposed ? std::vector<int>{1, 0} : std::vector<int>{0, 1};
    context.set(node, context.emit(node, make_linear(has_bias), {context.in_places(node, a, rows_first)},
                                   parameters));
}

}  // namespace

void add_linear_rules(Rules& rules) {
    rules["Gemm"] = gemm;
}

}  // namespace jlcm::onnx_rules
