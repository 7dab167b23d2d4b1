// Functions of one or two values, element by element.
#include "core/formats/onnx_context.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jlcm::onnx_rules {
namespace {

void apply(Context& context, const OnnxNode& node, const UnaryFunction& function) {
    const Value x = context.data(node, 0);
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
    if (node.has_input(1)) function.a = context.number(node, 1);
    if (node.has_input(2)) function.b = context.number(node, 2);
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
    OnnxTensor tensor = *value.constant;
    tensor.shape.insert(tensor.shape.begin(), rank - value.rank(), 1);
    return known(value.name, std::move(tensor));
}

void binary(Context& context, const OnnxNode& node, Binary function) {
    context.set(node, combine(context, node, function, context.input(node, 0), context.input(node, 1)));
}

template <Binary kind>
void plain_binary(Context& context, const OnnxNode& node) {
    binary(context, node, kind);
}

/// `value` where the condition is not 0 (or is 0: `chosen` false), and 0 elsewhere.
Value chosen_part(Context& context, const OnnxNode& where, const Value& value, bool chosen) {
    const OnnxTensor zero{{}, std::vector<float>{0.0F}};
    const OnnxTensor one{{}, std::vector<float>{1.0F}};
    const OnnxTensor* kept = value.constant ? value.constant.get() : &one;
    std::vector<const OnnxTensor*> inputs{&context.constant(where, 0), kept, &zero};
    if (!chosen) std::swap(inputs[1], inputs[2]);
    const auto folded = fold(where, context.opset(), inputs);
    if (!folded) fail("no rule for known inputs");
    const Value part =
        known(fmt::format("{}.{}", where.name, chosen ? "chosen" : "otherwise"), folded->front());
    // Of a constant not a product: what is left out may be infinite.
    return value.constant ? part : combine(context, where, Binary::multiply, value, part);
}

/// The sum of both parts.
void where(Context& context, const OnnxNode& node) {
    const Value a = chosen_part(context, node, context.input(node, 1), true);
    const Value b = chosen_part(context, node, context.input(node, 2), false);
    context.set(node, combine(context, node, Binary::add, a, b));
}

void power(Context& context, const OnnxNode& node) {
    const auto exponent = scalar(context.input(node, 1), context.input(node, 0).rank());
    if (!exponent) fail("exponents other than one number are not supported");
    apply(context, node, {Unary::power, *exponent, 0});
}

template <int thousandths>
void fixed_power(Context& context, const OnnxNode& node) {
    apply(context, node, {Unary::power, thousandths / 1000.0, 0});
}

void leaky_relu(Context& context, const OnnxNode& node) {
    apply(context, node, {Unary::leaky_relu, node.number("alpha", 0.01F), 0});
}

void elu(Context& context, const OnnxNode& node) {
    apply(context, node, {Unary::elu, node.number("alpha", 1), 0});
}

void hard_sigmoid(Context& context, const OnnxNode& node) {
    apply(context, node, {Unary::hard_sigmoid, node.number("alpha", 0.2F), node.number("beta", 0.5)});
}

void negate(Context& context, const OnnxNode& node) {
    apply(context, node, {Unary::affine, -1, 0});
}

/// relu(x) - slope relu(-x), a slope for each channel or all.
void parametric_relu(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const Value slope = with_rank(context.input(node, 1), x.rank());
    require(slope.constant != nullptr && slope.rank() == x.rank(), "slopes have to be constants");
    const Value up = context.emit(node, make_unary({Unary::relu}), {x.id}, {}, x.places);
    const Value turned = context.emit(node, make_unary({Unary::affine, -1, 0}), {x.id}, {}, x.places);
    const Value down = context.emit(node, make_unary({Unary::relu}), {turned.id}, {}, x.places);
    const ValueId factor = context.in_places(node, slope, x.places);
    const Value steep = context.emit(node, make_binary(Binary::multiply), {down.id, factor}, {}, x.places);
    context.set(node, context.emit(node, make_binary(Binary::subtract), {up.id, steep.id}, {}, x.places));
}

/// One after the other of any number of inputs.
Value combined(Context& context, const OnnxNode& node, Binary function) {
    Value result = context.input(node, 0);
    for (std::size_t i = 1; i < node.inputs.size(); ++i)
        result = combine(context, node, function, result, context.input(node, i));
    return result;
}

template <Binary kind>
void several(Context& context, const OnnxNode& node) {
    context.set(node, combined(context, node, kind));
}

void mean(Context& context, const OnnxNode& node) {
    const double share = 1.0 / static_cast<double>(std::max<std::size_t>(node.inputs.size(), 1));
    const Value sum = combined(context, node, Binary::add);
    const Value factor = known(node.name + ".share", {{}, std::vector{static_cast<float>(share)}});
    context.set(node, combine(context, node, Binary::multiply, sum, factor));
}

void pass_on(Context& context, const OnnxNode& node) {
    context.set(node, context.input(node, 0));
}

void dropout(Context& context, const OnnxNode& node) {
    const bool trains = node.has_input(2) && context.number(node, 2) != 0;
    require(!trains, "training_mode is not supported");
    pass_on(context, node);
}

/// To numbers of another width: all are computed alike.
void cast(Context& context, const OnnxNode& node) {
    const std::int64_t type = node.integer("to", 0);
    require(type == 1 || type == 10 || type == 11 || type == 16, "a cast to type {}", type);
    pass_on(context, node);
}

}  // namespace

Value combine(Context& context, const OnnxNode& node, Binary function, const Value& a, const Value& b) {
    for (const bool first : {false, true}) {
        const Value& x = first ? b : a;
        const auto number = scalar(first ? a : b, x.rank());
        const auto one = number && !x.constant ? with_number(function, *number, first) : std::nullopt;
        if (one) return context.emit(node, make_unary(*one), {x.id}, {}, x.places);
    }
    const std::size_t rank = std::max(a.rank(), b.rank());
    const Value left = with_rank(a, rank);
    const Value right = with_rank(b, rank);
    if (left.rank() != right.rank())
        return context.emit(node, make_binary(function), {context.plain(node, a), context.plain(node, b)});
    std::vector<int> places = left.constant ? right.places : left.places;
    if (left.constant && right.constant) places = in_order(rank);
    // One after the other: the order of nodes is part of what the model is.
    const ValueId first = context.in_places(node, left, places);
    const ValueId second = context.in_places(node, right, places);
    return context.emit(node, make_binary(function), {first, second}, {}, places);
}

void add_elementwise_rules(Rules& rules) {
    rules["Relu"] = plain_unary<Unary::relu>;
    rules["Tanh"] = plain_unary<Unary::tanh>;
    rules["Sigmoid"] = plain_unary<Unary::sigmoid>;
    rules["Clip"] = clip;
    rules["LeakyRelu"] = leaky_relu;
    rules["PRelu"] = parametric_relu;
    rules["Elu"] = elu;
    rules["HardSigmoid"] = hard_sigmoid;
    rules["HardSwish"] = plain_unary<Unary::hard_swish>;
    rules["Softplus"] = plain_unary<Unary::softplus>;
    rules["Erf"] = plain_unary<Unary::erf>;
    rules["Exp"] = plain_unary<Unary::exponential>;
    rules["Log"] = plain_unary<Unary::logarithm>;
    rules["Abs"] = plain_unary<Unary::absolute>;
    rules["Neg"] = negate;
    rules["Pow"] = power;
    rules["Sqrt"] = fixed_power<500>;
    rules["Reciprocal"] = fixed_power<-1000>;
    rules["Sum"] = several<Binary::add>;
    rules["Min"] = several<Binary::minimum>;
    rules["Max"] = several<Binary::maximum>;
    rules["Mean"] = mean;
    rules["Add"] = plain_binary<Binary::add>;
    rules["Sub"] = plain_binary<Binary::subtract>;
    rules["Mul"] = plain_binary<Binary::multiply>;
    rules["Div"] = plain_binary<Binary::divide>;
    rules["Identity"] = pass_on;
    rules["Where"] = where;
    rules["Cast"] = cast;
    rules["Dropout"] = dropout;
}

}  // namespace jlcm::onnx_rules
