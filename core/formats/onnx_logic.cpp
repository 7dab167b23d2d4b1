// Truth values, comparisons, and functions with steps.
#include "core/formats/onnx_context.hpp"

namespace jlcm::onnx_rules {
namespace {

template <Pointwise function>
void pointwise(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
    context.set(node, context.emit(node, make_pointwise(function), {x.id}, {}, x.places));
}

void is_infinite(Context& context, const OnnxNode& node) {
    require(node.integer("detect_negative", 1) != 0 && node.integer("detect_positive", 1) != 0,
            "infinities of one sign are not told apart");
    pointwise<Pointwise::is_infinite>(context, node);
}

template <Comparison function, bool exchanged>
void compare(Context& context, const OnnxNode& node) {
    const std::vector<std::size_t> inputs =
        exchanged ? std::vector<std::size_t>{1, 0} : std::vector<std::size_t>{0, 1};
    context.set(node, broadcast_all(context, node, make_comparison(function), inputs));
}

}  // namespace

void add_logic_rules(Rules& rules) {
    rules["Sin"] = pointwise<Pointwise::sine>;
    rules["Cos"] = pointwise<Pointwise::cosine>;
    rules["Floor"] = pointwise<Pointwise::floor>;
    rules["Ceil"] = pointwise<Pointwise::ceiling>;
    rules["Round"] = pointwise<Pointwise::round>;
    rules["Sign"] = pointwise<Pointwise::sign>;
    rules["Not"] = pointwise<Pointwise::is_zero>;
    rules["IsNaN"] = pointwise<Pointwise::is_nan>;
    rules["IsInf"] = is_infinite;
    rules["Equal"] = compare<Comparison::equal, false>;
    rules["Less"] = compare<Comparison::less, false>;
    rules["LessOrEqual"] = compare<Comparison::less_or_equal, false>;
    rules["Greater"] = compare<Comparison::less, true>;
    rules["GreaterOrEqual"] = compare<Comparison::less_or_equal, true>;
    rules["And"] = compare<Comparison::conjunction, false>;
    rules["Or"] = compare<Comparison::disjunction, false>;
    rules["Xor"] = compare<Comparison::exclusive, false>;
}

}  // namespace jlcm::onnx_rules
