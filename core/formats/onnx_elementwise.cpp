// Functions of one or two values, element by element.
#include "core/formats/onnx_context.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jlcm::onnx_rules {
namespace {

void apply(Context& context, const OnnxNode& node, const UnaryFunction& function) {
    const Value& x = context.input(node, 0);
    context.set(node, context.emit(node, make_unary(function), {x.id}, {}, x.places));
}

template <Unary kind>
void plain_unary(Context& context, const OnnxNode& node) {
    apply(context, node, {kind});
}

void clip(Context& context, const OnnxNode& node) {
    UnaryFunction function{Unary::clip, std::numeric_limits<float>::lowest(),
                           std::numeric_limits<float>::max()};
    function.a = node.number("min", function.a);
    function.b = node.number("max", function.b);
    if (node.has_input(1)) function.a = static_cast<double>(context.constant(node, 1).floats().at(0));
    if (node.has_input(2)) function.b = static_cast<double>(context.constant(node, 2).floats().at(0));
    apply(context, node, function);
}

/// The one number that a constant holds.
std::optional<double> scalar(const Value& value, std::size_t other_rank) {
    if (!value.constant || element_count(value.shape) != 1 || value.rank() > other_rank) return std::nullopt;
    return value.constant->is_float() ? static_cast<double>(value.constant->floats()[0])
                                      : static_cast<double>(value.constant->integers()[0]);
}

/// A function of one value that does what the binary one does with a constant number.
std::optional<UnaryFunction> with_number(Binary function, double number, bool is_first) {
    switch (function) {
        case Binary::add:
            return UnaryFunction{Unary::affine, 1, number};
        case Binary::multiply:
            return UnaryFunction{Unary::affine, number, 0};
        case Binary::subtract:
            return is_first ? UnaryFunction{Unary::affine, -1, number}
                            : UnaryFunction{Unary::affine, 1, -number};
        case Binary::divide:
            if (is_first) return std::nullopt;
            return UnaryFunction{Unary::affine, 1 / number, 0};
        default:
            return std::nullopt;
    }
}

/// Both values with as many dimensions, those in front being ones.
Value with_rank(const Value& value, std::size_t rank) {
    if (value.rank() == rank || !value.constant) return value;
    Value result = value;
    result.constant->shape.insert(result.constant->shape.begin(), rank - value.rank(), 1);
    result.shape = result.constant->shape;
    return result;
}

void binary(Context& context, const OnnxNode& node, Binary function) {
    const Value& a = context.input(node, 0);
    const Value& b = context.input(node, 1);
    for (const bool first : {false, true}) {
        const Value& x = first ? b : a;
        const auto number = scalar(first ? a : b, x.rank());
        const auto one = number && !x.constant ? with_number(function, *number, first) : std::nullopt;
        if (!one) continue;
        context.set(node, context.emit(node, make_unary(*one), {x.id}, {}, x.places));
        return;
    }
    const std::size_t rank = std::max(a.rank(), b.rank());
    const Value left = with_rank(a, rank);
    const Value right = with_rank(b, rank);
    if (left.rank() != right.rank()) {
        context.set(node, context.emit(node, make_binary(function),
                                       {context.plain(node, a), context.plain(node, b)}));
        return;
    }
    const std::vector<int> places = left.constant ? right.places : left.places;
    // One after the other: the order of nodes is part of what the model is.
    const ValueId first = context.in_places(node, left, places);
    const ValueId second = context.in_places(node, right, places);
    context.set(node, context.emit(node, make_binary(function), {first, second}, {}, places));
}

template <Binary kind>
void plain_binary(Context& context, const OnnxNode& node) {
    binary(context, node, kind);
}

void pass_on(Context& context, const OnnxNode& node) {
    context.set(node, context.input(node, 0));
}

}  // namespace

void add_elementwise_rules(Rules& rules) {
    rules["Relu"] = plain_unary<Unary::relu>;
    rules["Tanh"] = plain_unary<Unary::tanh>;
    rules["Sigmoid"] = plain_unary<Unary::sigmoid>;
    rules["Clip"] = clip;
    rules["Add"] = plain_binary<Binary::add>;
    rules["Sub"] = plain_binary<Binary::subtract>;
    rules["Mul"] = plain_binary<Binary::multiply>;
    rules["Div"] = plain_binary<Binary::divide>;
    rules["Identity"] = pass_on;
    rules["Dropout"] = pass_on;
}

}  // namespace jlcm::onnx_rules
