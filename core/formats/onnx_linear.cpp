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
             const OnnxTensor& weight, const OnnxArrangement& arrangement,
             const std::optional<ParameterId>& bias, std::vector<int> places) {
    std::vector<ParameterId> parameters{
        context.parameter(node, name, "linear", weight.shape, weight.floats(), true, arrangement)};
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
    if (c && c->constant && beta != 1) c = known(c->name + ".scaled", scaled(*c->constant, beta));
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
        const std::string name = context.input(node, 2).name;
        c.reset();
        return context.parameter(node, name, "bias", {outputs}, shift, false, {{}, {}, beta});
    };
    Value y;
    if (b.constant && !a.constant) {
        const OnnxArrangement arrangement{b.shape, matrix_places(!exchanges_b), alpha};
        const OnnxTensor weight = scaled(moved(*b.constant, arrangement.places), alpha);
        const ValueId x = context.in_places(node, a, matrix_places(exchanges_a));
        y = linear(context, node, x, b.name, weight, arrangement, bias(weight.shape[0], false),
                   matrix_places(false));
    } else if (a.constant && !b.constant) {
        const OnnxArrangement arrangement{a.shape, matrix_places(exchanges_a), alpha};
        const OnnxTensor weight = scaled(moved(*a.constant, arrangement.places), alpha);
        const ValueId x = context.in_places(node, b, matrix_places(!exchanges_b));
        y = linear(context, node, x, a.name, weight, arrangement, bias(weight.shape[0], true),
                   matrix_places(true));
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
    multiply_matrices(context, node, context.input(node, 0), context.input(node, 1));
}

/// An Einsum's equation: a letter for each dimension.
struct Equation {
    std::vector<std::string> inputs;
    std::string output;
};

Equation equation_of(const OnnxNode& node, const std::vector<Value>& values) {
    std::string text = node.text("equation", "");
    std::erase(text, ' ');
    require(text.find('.') == std::string::npos, "'...' in the equation '{}' is not supported", text);
    Equation equation;
    const auto arrow = text.find("->");
    std::string left = text.substr(0, arrow);
    for (std::size_t comma = left.find(','); comma != std::string::npos; comma = left.find(',')) {
        equation.inputs.push_back(left.substr(0, comma));
        left.erase(0, comma + 1);
    }
    equation.inputs.push_back(left);
    std::map<char, int> counts;
    for (const std::string& input : equation.inputs)
        for (const char letter : input) ++counts[letter];
    if (arrow != std::string::npos) equation.output = text.substr(arrow + 2);
    // Without an output it has the letters that stand there once, in the alphabet's order.
    if (arrow == std::string::npos)
        for (const auto& [letter, count] : counts)
            if (count == 1) equation.output += letter;
    require(equation.inputs.size() == values.size(), "the equation '{}' for {} inputs", text, values.size());
    std::map<char, std::int64_t> sizes;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::string& letters = equation.inputs[i];
        require(letters.size() == values[i].rank(), "'{}' for shape {}", letters, to_string(values[i].shape));
        for (std::size_t d = 0; d < letters.size(); ++d) {
            const auto [known_size, is_new] = sizes.emplace(letters[d], values[i].shape[d]);
            require(is_new || known_size->second == values[i].shape[d], "'{}' is {} and {}", letters[d],
                    known_size->second, values[i].shape[d]);
            require(std::ranges::count(letters, letters[d]) == 1,
                    "'{}' twice in '{}', a diagonal, is not supported", letters[d], letters);
        }
    }
    for (const char letter : equation.output)
        require(counts.contains(letter) && std::ranges::count(equation.output, letter) == 1,
                "'{}' in the output of the equation '{}'", letter, text);
    return equation;
}

/// The places of dimensions whose letters are `letters` when they lie in the order of `wanted`.
std::vector<int> places_for(const std::string& letters, const std::string& wanted) {
    std::vector<int> places;
    for (const char letter : letters) places.push_back(static_cast<int>(wanted.find(letter)));
    return places;
}

/// The value summed over dimensions whose letters are in `kept` not.
Value summed(Context& context, const OnnxNode& node, const Value& x, std::string& letters,
             const std::string& kept) {
    ReduceAttributes attributes{Reduction::sum, {}, false};
    std::string left;
    std::vector<int> places;
    for (std::size_t d = 0; d < letters.size(); ++d) {
        if (kept.find(letters[d]) != std::string::npos) {
            left += letters[d];
            places.push_back(x.places[d]);
        } else {
            attributes.dimensions.push_back(x.places[d]);
        }
    }
    if (attributes.dimensions.empty()) return x;
    letters = left;
    std::ranges::sort(attributes.dimensions);
    for (int& place : places)
        place -=
            static_cast<int>(std::ranges::count_if(attributes.dimensions, [&](int d) { return d < place; }));
    return context.emit(node, make_reduce(attributes), {x.id}, {}, places);
}

/// The value as one of the graph, a constant too.
Value in_graph(Context& context, const OnnxNode& node, Value value) {
    if (!value.constant) return value;
    value.id = context.plain(node, value);
    value.constant.reset();
    value.places = in_order(value.rank());
    return value;
}

Shape sizes_of(const std::string& wanted, const std::string& letters, const Value& x) {
    Shape shape;
    for (const char letter : wanted) shape.push_back(x.shape[letters.find(letter)]);
    return shape;
}

/// The value [wanted...] with the letters of the output, in its order.
void set_ordered(Context& context, const OnnxNode& node, Value y, const std::string& letters,
                 const std::string& output) {
    Value result = y;
    for (std::size_t d = 0; d < output.size(); ++d) {
        const std::size_t from = letters.find(output[d]);
        result.places[d] = y.places[from];
        result.shape[d] = y.shape[from];
    }
    context.set(node, std::move(result));
}

/// Products of matrices, with a constant on one side as a linear weight.
void einsum(Context& context, const OnnxNode& node) {
    std::vector<Value> values;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) values.push_back(context.input(node, i));
    Equation equation = equation_of(node, values);
    require(values.size() == 1 || values.size() == 2, "{} inputs", values.size());
    if (values.size() == 1) {
        const Value sum =
            summed(context, node, in_graph(context, node, values[0]), equation.inputs[0], equation.output);
        return set_ordered(context, node, sum, equation.inputs[0], equation.output);
    }
    if (values[0].constant) {
        std::swap(values[0], values[1]);
        std::swap(equation.inputs[0], equation.inputs[1]);
    }
    std::string& left = equation.inputs[0];
    std::string& right = equation.inputs[1];
    values[0] = summed(context, node, in_graph(context, node, values[0]), left, right + equation.output);
    if (!values[1].constant) values[1] = summed(context, node, values[1], right, left + equation.output);
    std::string common;
    std::string summed_over;
    std::string rows;
    std::string columns;
    for (const char letter : left) {
        const bool is_in_both = right.find(letter) != std::string::npos;
        const bool is_kept = equation.output.find(letter) != std::string::npos;
        (is_in_both ? (is_kept ? common : summed_over) : rows) += letter;
    }
    for (const char letter : right)
        if (left.find(letter) == std::string::npos) columns += letter;
    const auto size = [&](const std::string& letters, const std::string& of, const Value& value) {
        return element_count(sizes_of(letters, of, value));
    };
    const std::int64_t inner = size(summed_over, left, values[0]);
    Shape shape = sizes_of(common + rows, left, values[0]);
    const ValueId x = context.in_places(node, values[0], places_for(left, common + rows + summed_over));
    for (const std::int64_t each : sizes_of(columns, right, values[1])) shape.push_back(each);
    const bool sums_all = std::ranges::all_of(right, [&](char c) {
        return left.find(c) != std::string::npos || equation.output.find(c) != std::string::npos;
    });
    Value y;
    if (values[1].constant && common.empty() && sums_all) {
        const OnnxArrangement arrangement{values[1].shape, places_for(right, columns + summed_over), 1};
        OnnxTensor weight = moved(*values[1].constant, arrangement.places);
        weight.shape = {size(columns, right, values[1]), inner};
        Shape flat = sizes_of(rows, left, values[0]);
        flat.push_back(inner);
        const Value lines = context.emit(node, make_reshape(context.open_shape(flat)), {x});
        y = linear(context, node, lines.id, values[1].name, weight, arrangement, {}, in_order(flat.size()));
    } else {
        require(sums_all, "a constant that is summed over a dimension of its own is not supported");
        const std::int64_t batches = size(common, left, values[0]);
        const Value a = context.emit(
            node, make_reshape(context.open_shape({batches, size(rows, left, values[0]), inner})), {x});
        const ValueId other =
            context.in_places(node, values[1], places_for(right, common + summed_over + columns));
        const Value b = context.emit(
            node, make_reshape(context.open_shape({batches, inner, size(columns, right, values[1])})),
            {other});
        y = context.emit(node, make_matmul(), {a.id, b.id});
    }
    y = context.emit(node, make_reshape(context.open_shape(shape)), {y.id});
    set_ordered(context, node, y, common + rows + columns, equation.output);
}

}  // namespace

void multiply_matrices(Context& context, const OnnxNode& node, const Value& a, const Value& b) {
    if (const auto weight = weight_of(b, a, false)) {
        const Value y = linear(context, node, context.plain(node, a), b.name, moved(*weight, {1, 0}),
                               {weight->shape, {1, 0}, 1}, {}, in_order(a.rank()));
        context.set(node, b.rank() == 1 ? without(context, node, y, y.rank() - 1) : y);
        return;
    }
    if (const auto weight = weight_of(a, b, true)) {
        const std::vector<int> places = columns_as_rows(b.rank());
        const Value y =
            linear(context, node, context.in_places(node, b, places), a.name, *weight, {}, {}, places);
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

void add_linear_rules(Rules& rules) {
    rules["Einsum"] = einsum;
    rules["Gemm"] = gemm;
    rules["MatMul"] = matmul;
}

}  // namespace jlcm::onnx_rules
