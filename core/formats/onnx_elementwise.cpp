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

/// The sum of both parts where the condition is known.
void where(Context& context, const OnnxNode& node) {
    if (context.input(node, 0).constant == nullptr) {
        context.set(node, broadcast_all(context, node, make_where(), {0, 1, 2}));
        return;
    }
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

/// To numbers of another width all are computed alike; integers are numbers without a fraction.
void cast(Context& context, const OnnxNode& node) {
    const std::int64_t type = node.integer("to", 0);
    constexpr std::int64_t boolean = 9;
    const bool to_number = type == 1 || type == 10 || type == 11 || type == 16;
    const bool to_integer = (type >= 2 && type <= 7) || type == 12 || type == 13;
    require(to_number || to_integer || type == boolean, "a cast to type {}", type);
    const Value x = context.any_data(node, 0);
    const auto apply = [&](Pointwise function, const Value& to) {
        return context.emit(node, make_pointwise(function), {to.id}, {}, to.places);
    };
    if (type == boolean)
        context.set(node, apply(Pointwise::is_zero, apply(Pointwise::is_zero, x)));
    else
        context.set(node, to_integer && !x.is_integer ? apply(Pointwise::truncate, x) : x);
}

/// Integers are divided without a remainder, as C does.
void divide(Context& context, const OnnxNode& node) {
    const auto is_integer = [&](std::size_t i) {
        const Value& x = context.input(node, i);
        return x.constant ? !x.constant->is_float() : x.is_integer;
    };
    if (!is_integer(0) || !is_integer(1)) return binary(context, node, Binary::divide);
    const Value y = broadcast_all(context, node, make_binary(Binary::divide), {0, 1});
    context.set(node, context.emit(node, make_pointwise(Pointwise::truncate), {y.id}, {}, y.places));
}

void gelu(Context& context, const OnnxNode& node) {
    const std::string approximate = node.text("approximate", "none");
    require(approximate == "none" || approximate == "tanh", "approximate '{}'", approximate);
    apply(context, node, {approximate == "tanh" ? Unary::gelu_tanh : Unary::gelu});
}

/// x sigmoid(alpha x)
void swish(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const double alpha = node.number("alpha", 1);
    const Value scaled =
        alpha == 1 ? x : context.emit(node, make_unary({Unary::affine, alpha, 0}), {x.id}, {}, x.places);
    const Value gate = context.emit(node, make_unary({Unary::sigmoid}), {scaled.id}, {}, x.places);
    context.set(node, context.emit(node, make_binary(Binary::multiply), {x.id, gate.id}, {}, x.places));
}

/// x tanh(softplus(x))
void mish(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const Value soft = context.emit(node, make_unary({Unary::softplus}), {x.id}, {}, x.places);
    const Value gate = context.emit(node, make_unary({Unary::tanh}), {soft.id}, {}, x.places);
    context.set(node, context.emit(node, make_binary(Binary::multiply), {x.id, gate.id}, {}, x.places));
}

}  // namespace

Value with_rank(const Value& value, std::size_t rank) {
    if (value.rank() == rank || !value.constant) return value;
    OnnxTensor tensor = *value.constant;
    tensor.shape.insert(tensor.shape.begin(), rank - value.rank(), 1);
    return known(value.name, std::move(tensor));
}

Value broadcast_all(Context& context, const OnnxNode& node, const OperatorPtr& op,
                    const std::vector<std::size_t>& inputs) {
    std::size_t rank = 0;
    for (const std::size_t i : inputs) rank = std::max(rank, context.input(node, i).rank());
    std::vector<Value> values;
    std::vector<int> places;
    bool is_alike = true;
    for (const std::size_t i : inputs) {
        values.push_back(with_rank(context.input(node, i), rank));
        is_alike = is_alike && values.back().rank() == rank;
        if (places.empty() && !values.back().constant) places = values.back().places;
    }
    if (places.size() != rank) places = in_order(rank);
    std::vector<ValueId> ids;
    for (const Value& value : values)
        ids.push_back(is_alike ? context.in_places(node, value, places) : context.plain(node, value));
    return is_alike ? context.emit(node, op, ids, {}, places) : context.emit(node, op, ids);
}

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
    rules["Gelu"] = gelu;
    rules["Swish"] = swish;
    rules["Mish"] = mish;
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
    rules["Div"] = divide;
    rules["Identity"] = pass_on;
    rules["Where"] = where;
    rules["Cast"] = cast;
    rules["Dropout"] = dropout;
}

}  // namespace jlcm::onnx_rules
