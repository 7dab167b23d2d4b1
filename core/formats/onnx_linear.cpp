// Matrix products.
#include "core/formats/onnx_context.hpp"

#include <algorithm>

namespace jlcm::onnx_rules {
namespace {

/// The places of a matrix's dimensions.
std::vector<int> matrix_places(bool exchanged) {
    return exchanged ? std::vector<int>{1, 0} : std::vector<int>{0, 1};
}

/// Those of `rank` dimensions whose last two are exchanged.
std::vector<int> columns_as_rows(std::size_t rank) {
    std::vector<int> places = in_order(rank);
    std::swap(places[rank - 2], places[rank - 1]);
    return places;
}

/// x W^T + b for the rows of x; the output's dimensions lie where `places` says.
Value linear(Context& context, const OnnxNode& node, ValueId x, const std::string& name,
             const OnnxTensor& weight, const std::optional<ParameterId>& bias, std::vector<int> places) {
    std::vector<ParameterId> parameters{
        context.parameter(name, "linear", weight.shape, weight.floats(), true)};
    if (bias) parameters.push_back(*bias);
    return context.emit(node, make_linear(bias.has_value()), {x}, parameters, std::move(places));
}

OnnxTensor scaled(const OnnxTensor& tensor, double factor) {
    std::vector<float> values = tensor.floats();
    for (float& value : values) value *= static_cast<float>(factor);
    return {tensor.shape, std::move(values)};
}

/// alpha A B + beta C of matrices, each of which may be known. A known A is a weight as a known B is: its
/// rows are the outputs, and the columns of B the samples.
void gemm(Context& context, const OnnxNode& node) {
    const Value a = context.input(node, 0);
    const Value b = context.input(node, 1);
    require(a.rank() == 2 && b.rank() == 2, "factors of shape {} and {}", to_string(a.shape),
            to_string(b.shape));
    const bool exchanges_a = node.integer("transA", 0) != 0;
    const bool exchanges_b = node.integer("transB", 0) != 0;
    const double alpha = node.number("alpha", 1);
    const double beta = node.number("beta", 1);
    std::optional<Value> c;
    if (node.has_input(2)) c = context.input(node, 2);
    if (c && c->constant) c = known(c->name, scaled(*c->constant, beta));
    if (c && !c->constant && beta != 1)
        c = context.emit(node, make_unary({Unary::affine, beta, 0}), {c->id}, {}, c->places);

    // The third factor as a bias where it has a number for each output, or one.
    const auto bias = [&](std::int64_t outputs, bool is_left) -> std::optional<ParameterId> {
        if (!c || !c->constant) return std::nullopt;
        const Shape& shape = c->shape;
        const std::int64_t count = element_count(shape);
        const bool fits = is_left ? shape == Shape{outputs, 1} : !shape.empty() && shape.back() == outputs;
        if (count == 0 || (count != 1 && (count != outputs || !fits))) return std::nullopt;
        std::vector<float> shift = c->constant->floats();
        shift.resize(static_cast<std::size_t>(outputs), shift.front());
        const std::string name = c->name;
        c.reset();
        return context.parameter(name, "bias", {outputs}, shift);
    };
    Value y;
    if (b.constant && !a.constant) {
        const OnnxTensor weight = scaled(moved(*b.constant, matrix_places(!exchanges_b)), alpha);
        const ValueId x = context.in_places(node, a, matrix_places(exchanges_a));
        y = linear(context, node, x, b.name, weight, bias(weight.shape[0], false), matrix_places(false));
    } else if (a.constant && !b.constant) {
        const OnnxTensor weight = scaled(moved(*a.constant, matrix_places(exchanges_a)), alpha);
        const ValueId x = context.in_places(node, b, matrix_places(!exchanges_b));
        y = linear(context, node, x, a.name, weight, bias(weight.shape[0], true), matrix_places(true));
    } else {
        const ValueId left = context.in_places(node, a, matrix_places(exchanges_a));
        const ValueId right = context.in_places(node, b, matrix_places(exchanges_b));
        y = context.emit(node, make_matmul(), {left, right});
        if (alpha != 1) y = context.emit(node, make_unary({Unary::affine, alpha, 0}), {y.id});
    }
    context.set(node, c ? combine(context, node, Binary::add, y, *c) : y);
}

/// The matrix that a known factor beside a value of the graph is; a vector is one row on the left, one column
/// on the right. Nothing where it has more matrices than one, or more dimensions than the value.
std::optional<OnnxTensor> weight_of(const Value& factor, const Value& x, bool is_left) {
    const std::size_t least = is_left || factor.rank() == 1 ? 2 : 1;
    if (!factor.constant || x.constant || x.rank() < least) return std::nullopt;
    Shape shape = factor.shape;
    while (shape.size() > 2 && shape.front() == 1 && shape.size() <= x.rank()) shape.erase(shape.begin());
    if (shape.size() == 1) shape.insert(is_left ? shape.begin() : shape.end(), 1);
    if (shape.size() != 2) return std::nullopt;
    return OnnxTensor{shape, factor.constant->values};
}

/// The product with a vector has no dimension for it.
Value without(Context& context, const OnnxNode& node, const Value& y, std::size_t dimension) {
    Shape shape = y.shape;
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(dimension));
    return context.emit(node, make_reshape(context.open_shape(shape)), {context.plain(node, y)});
}

/// A factor as it is; a vector as one row on the left, one column on the right.
ValueId as_matrices(Context& context, const OnnxNode& node, const Value& factor, bool is_left) {
    require(factor.rank() >= 1, "a factor without dimensions");
    const ValueId id = context.plain(node, factor);
    if (factor.rank() > 1) return id;
    const Shape shape = is_left ? Shape{1, factor.shape[0]} : Shape{factor.shape[0], 1};
    return context.emit(node, make_reshape(context.open_shape(shape)), {id}).id;
}

void matmul(Context& context, const OnnxNode& node) {
    const Value a = context.input(node, 0);
    const Value b = context.input(node, 1);
    if (const auto weight = weight_of(b, a, false)) {
        const Value y = linear(context, node, context.plain(node, a), b.name, moved(*weight, {1, 0}), {},
                               in_order(a.rank()));
        context.set(node, b.rank() == 1 ? without(context, node, y, y.rank() - 1) : y);
        return;
    }
    if (const auto weight = weight_of(a, b, true)) {
        const std::vector<int> places = columns_as_rows(b.rank());
        const Value y =
            linear(context, node, context.in_places(node, b, places), a.name, *weight, {}, places);
        context.set(node, a.rank() == 1 ? without(context, node, y, y.rank() - 2) : y);
        return;
    }
    const ValueId left = as_matrices(context, node, a, true);
    const ValueId right = as_matrices(context, node, b, false);
    Value y = context.emit(node, make_matmul(), {left, right});
    if (b.rank() == 1) y = without(context, node, y, y.rank() - 1);
    if (a.rank() == 1) y = without(context, node, y, y.rank() - (b.rank() == 1 ? 1 : 2));
    context.set(node, std::move(y));
}

}  // namespace

void add_linear_rules(Rules& rules) {
    rules["Gemm"] = gemm;
    rules["MatMul"] = matmul;
}

}  // namespace jlcm::onnx_rules
