// What is known without the model's input: shape arithmetic, and functions of constants.
#include "core/formats/onnx_context.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jlcm::onnx_rules {
namespace {

using Inputs = std::vector<const OnnxTensor*>;
using Outputs = std::vector<OnnxTensor>;
using Folding = std::function<Outputs(const OnnxNode&, std::int64_t opset, const Inputs&)>;

/// What a constant may grow to that is not as large to begin with.
constexpr std::int64_t most_elements = std::int64_t{1} << 24;

const OnnxTensor& at(const Inputs& inputs, std::size_t i) {
    require(i < inputs.size() && inputs[i] != nullptr, "input {} is missing", i);
    return *inputs[i];
}

/// Elements of a constant made of `given` elements.
std::int64_t checked_count(const Shape& shape, std::size_t given) {
    double count = 1;
    for (const std::int64_t size : shape) {
        require(size >= 0, "a shape of {}", to_string(shape));
        count *= static_cast<double>(size);
    }
    require(count <= std::max(static_cast<double>(most_elements), static_cast<double>(given)),
            "a constant of shape {} is too large", to_string(shape));
    return element_count(shape);
}

OnnxTensor integers(std::vector<std::int64_t> values) {
    return {{std::ssize(values)}, std::move(values)};
}

/// A tensor of elements that `pick(position)` finds among those of `from`, in the order of `shape`.
template <class Pick>
OnnxTensor picked(const OnnxTensor& from, const Shape& shape, Pick pick) {
    OnnxTensor result{shape, {}};
    std::visit(
        [&](const auto& values) {
            const std::int64_t count = checked_count(shape, values.size());
            std::decay_t<decltype(values)> out;
            out.reserve(static_cast<std::size_t>(count));
            std::vector<std::int64_t> position(shape.size(), 0);
            for (std::int64_t i = 0; i < count; ++i) {
                out.push_back(values.at(static_cast<std::size_t>(pick(position))));
                for (std::size_t d = shape.size(); d-- > 0;) {
                    if (++position[d] < shape[d]) break;
                    position[d] = 0;
                }
            }
            result.values = std::move(out);
        },
        from.values);
    return result;
}

std::int64_t offset(const Strides& strides, const std::vector<std::int64_t>& position) {
    std::int64_t at = strides.offset;
    for (std::size_t d = 0; d < position.size(); ++d) at += position[d] * strides.steps[d];
    return at;
}

std::vector<float> as_floats(const OnnxTensor& tensor) {
    if (tensor.is_float()) return tensor.floats();
    return {tensor.integers().begin(), tensor.integers().end()};
}

std::int64_t to_integer(float value) {
    require(std::isfinite(value) && std::abs(value) < 9e18F, "{} as an integer", value);
    return static_cast<std::int64_t>(value);
}

/// An element-wise function of two tensors that broadcast; `Truth` makes integers.
template <bool truth, class Function>
Folding pairwise(Function function) {
    return [function](const OnnxNode&, std::int64_t, const Inputs& inputs) -> Outputs {
        const Shape shape = broadcast(at(inputs, 0).shape, at(inputs, 1).shape);
        const OnnxTensor a = expanded(at(inputs, 0), shape);
        const OnnxTensor b = expanded(at(inputs, 1), shape);
        require(a.is_float() == b.is_float(), "numbers and integers together");
        OnnxTensor result{shape, {}};
        const auto apply = [&](const auto& x, const auto& y) {
            using Element = typename std::decay_t<decltype(x)>::value_type;
            std::vector<std::conditional_t<truth, std::int64_t, Element>> out(x.size());
            for (std::size_t i = 0; i < x.size(); ++i)
                out[i] = static_cast<std::conditional_t<truth, std::int64_t, Element>>(function(x[i], y[i]));
            result.values = std::move(out);
        };
        if (a.is_float())
            apply(a.floats(), b.floats());
        else
            apply(a.integers(), b.integers());
        return {std::move(result)};
    };
}

/// The same of any number of tensors, one after the other.
template <class Function>
Folding several(Function function) {
    const Folding two = pairwise<false>(function);
    return [two](const OnnxNode& node, std::int64_t opset, const Inputs& inputs) -> Outputs {
        OnnxTensor result = at(inputs, 0);
        for (std::size_t i = 1; i < inputs.size(); ++i)
            result = std::move(two(node, opset, {&result, &at(inputs, i)}).front());
        return {std::move(result)};
    };
}

/// A function of each element; it keeps integers integers.
template <class Function>
Folding each(Function function) {
    return [function](const OnnxNode&, std::int64_t, const Inputs& inputs) -> Outputs {
        OnnxTensor result = at(inputs, 0);
        std::visit(
            [&](auto& values) {
                for (auto& value : values)
                    value = static_cast<std::decay_t<decltype(value)>>(function(value));
            },
            result.values);
        return {std::move(result)};
    };
}

template <class Function>
Folding of_numbers(Function function) {
    return [function](const OnnxNode&, std::int64_t, const Inputs& inputs) -> Outputs {
        OnnxTensor result = at(inputs, 0);
        std::vector<float> values = result.floats();
        for (float& value : values) value = static_cast<float>(function(static_cast<double>(value)));
        result.values = std::move(values);
        return {std::move(result)};
    };
}

/// A reduction along some dimensions of integers or numbers: `start`, or from the first element on.
template <class Function>
Folding reduction(std::optional<int> start, Function function) {
    return [start, function](const OnnxNode& node, std::int64_t, const Inputs& inputs) -> Outputs {
        const OnnxTensor& x = at(inputs, 0);
        auto axes = node.integers("axes");
        if (inputs.size() > 1 && inputs[1] != nullptr) axes = inputs[1]->integers();
        if (axes.empty() && node.integer("noop_with_empty_axes", 0) != 0) return {x};
        require(start || element_count(x.shape) > 0, "nothing is reduced");
        std::vector<bool> is_reduced(x.shape.size(), axes.empty());
        for (const std::int64_t axis : axes) is_reduced[axis_of(axis, x.shape.size())] = true;
        Shape kept = x.shape;
        Shape shape;
        for (std::size_t d = 0; d < kept.size(); ++d) {
            if (is_reduced[d]) kept[d] = 1;
            if (!is_reduced[d] || node.integer("keepdims", 1) != 0) shape.push_back(kept[d]);
        }
        OnnxTensor result{shape, {}};
        std::visit(
            [&](const auto& values) {
                using Element = typename std::decay_t<decltype(values)>::value_type;
                const auto count = static_cast<std::size_t>(checked_count(kept, values.size()));
                std::vector<Element> out(count, static_cast<Element>(start.value_or(0)));
                std::vector<bool> has_begun(count, start.has_value());
                Strides strides = strides_of(kept);
                for (std::size_t d = 0; d < kept.size(); ++d)
                    if (is_reduced[d]) strides.steps[d] = 0;
                std::vector<std::int64_t> position(kept.size(), 0);
                for (const Element value : values) {
                    const auto place = static_cast<std::size_t>(offset(strides, position));
                    out[place] = has_begun[place] ? static_cast<Element>(function(out[place], value)) : value;
                    has_begun[place] = true;
                    for (std::size_t d = kept.size(); d-- > 0;) {
                        if (++position[d] < x.shape[d]) break;
                        position[d] = 0;
                    }
                }
                result.values = std::move(out);
            },
            x.values);
        return {std::move(result)};
    };
}

Outputs constant(const OnnxNode& node, std::int64_t, const Inputs&) {
    for (const auto& [key, value] : node.attributes) {
        if (const auto* tensor = std::get_if<OnnxTensor>(&value)) return {*tensor};
        if (const auto* number = std::get_if<float>(&value)) return {{{}, std::vector{*number}}};
        if (const auto* integer = std::get_if<std::int64_t>(&value)) return {{{}, std::vector{*integer}}};
        if (const auto* floats = std::get_if<std::vector<float>>(&value))
            return {{{std::ssize(*floats)}, *floats}};
        if (const auto* several = std::get_if<std::vector<std::int64_t>>(&value)) return {integers(*several)};
    }
    fail("a constant of no supported type");
}

Outputs pass_on(const OnnxNode&, std::int64_t, const Inputs& inputs) {
    return {at(inputs, 0)};
}

Outputs cast(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    const std::int64_t type = node.integer("to", 0);
    // TensorProto.DataType: FLOAT, FLOAT16, DOUBLE, BFLOAT16 are numbers; BOOL is 9.
    const bool to_float = type == 1 || type == 10 || type == 11 || type == 16;
    OnnxTensor result = at(inputs, 0);
    result.type = static_cast<int>(type);
    if (to_float) {
        result.values = as_floats(result);
        return {std::move(result)};
    }
    require((type >= 2 && type <= 7) || type == 9 || type == 12 || type == 13, "a cast to type {}", type);
    std::vector<std::int64_t> values;
    if (result.is_float())
        for (const float value : result.floats())
            values.push_back(type == 9 ? (value != 0 ? 1 : 0) : to_integer(value));
    else
        for (const std::int64_t value : result.integers())
            values.push_back(type == 9 ? (value != 0 ? 1 : 0) : value);
    result.values = std::move(values);
    return {std::move(result)};
}

Outputs concat(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    OnnxTensor result = at(inputs, 0);
    const std::size_t axis = axis_of(node.integer("axis", 0), result.shape.size());
    for (std::size_t i = 1; i < inputs.size(); ++i) {
        const OnnxTensor& next = at(inputs, i);
        require(next.shape.size() == result.shape.size() && next.is_float() == result.is_float(),
                "shapes {} and {}, or types, do not fit", to_string(result.shape), to_string(next.shape));
        Shape shape = result.shape;
        shape[axis] = next.shape[axis];
        require(shape == next.shape, "shapes {} and {} along axis {}", to_string(result.shape),
                to_string(next.shape), axis);
        shape[axis] += result.shape[axis];
        const OnnxTensor first = std::move(result);
        const Strides a = strides_of(first.shape);
        const Strides b = strides_of(next.shape);
        // Both behind each other, so that one position finds an element of either.
        OnnxTensor both{{}, first.values};
        const std::int64_t count = element_count(first.shape);
        std::visit(
            [&](auto& values) {
                const auto& more = std::get<std::decay_t<decltype(values)>>(next.values);
                values.insert(values.end(), more.begin(), more.end());
            },
            both.values);
        result = picked(both, shape, [&](std::vector<std::int64_t> position) {
            if (position[axis] < first.shape[axis]) return offset(a, position);
            position[axis] -= first.shape[axis];
            return count + offset(b, position);
        });
    }
    return {std::move(result)};
}

Outputs gather(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    const OnnxTensor& x = at(inputs, 0);
    const OnnxTensor& index = at(inputs, 1);
    const std::size_t axis = axis_of(node.integer("axis", 0), x.shape.size());
    Shape shape(x.shape.begin(), x.shape.begin() + static_cast<std::ptrdiff_t>(axis));
    shape.insert(shape.end(), index.shape.begin(), index.shape.end());
    shape.insert(shape.end(), x.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.shape.end());
    const Strides from = strides_of(x.shape);
    const Strides indices = strides_of(index.shape);
    const auto rank = index.shape.size();
    return {picked(x, shape, [&](const std::vector<std::int64_t>& position) {
        std::int64_t which = 0;
        std::int64_t place = 0;
        for (std::size_t d = 0; d < position.size(); ++d) {
            if (d < axis)
                place += position[d] * from.steps[d];
            else if (d < axis + rank)
                which += position[d] * indices.steps[d - axis];
            else
                place += position[d] * from.steps[d - rank + 1];
        }
        std::int64_t chosen = index.integers()[static_cast<std::size_t>(which)];
        if (chosen < 0) chosen += x.shape[axis];
        require(chosen >= 0 && chosen < x.shape[axis], "index {} of {}", chosen, x.shape[axis]);
        return place + chosen * from.steps[axis];
    })};
}

OnnxTensor part_of(const OnnxTensor& x, std::size_t axis, const Range& range) {
    Shape shape = x.shape;
    shape[axis] = range.count;
    Strides strides = strides_of(x.shape);
    strides.offset = range.begin * strides.steps[axis];
    strides.steps[axis] *= range.step;
    return picked(x, shape, [&](const auto& position) { return offset(strides, position); });
}

Outputs split(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    const OnnxTensor& x = at(inputs, 0);
    const std::size_t axis = axis_of(node.integer("axis", 0), x.shape.size());
    std::optional<std::vector<std::int64_t>> sizes;
    if (node.has("split")) sizes = node.integers("split");
    if (inputs.size() > 1 && inputs[1] != nullptr) sizes = inputs[1]->integers();
    Outputs parts;
    for (const Range& range :
         split_ranges(x.shape[axis], node.outputs.size(), sizes, node.has("num_outputs")))
        parts.push_back(part_of(x, axis, range));
    return parts;
}

Outputs slice(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    OnnxTensor x = at(inputs, 0);
    const auto list = [&](const char* key, std::size_t i) -> std::optional<std::vector<std::int64_t>> {
        if (node.has(key)) return node.integers(key);
        if (i < inputs.size() && inputs[i] != nullptr) return inputs[i]->integers();
        return std::nullopt;
    };
    for (const auto& [axis, range] :
         slices(list("starts", 1), list("ends", 2), list("axes", 3), list("steps", 4), x.shape))
        x = part_of(x, axis, range);
    return {std::move(x)};
}

OnnxTensor with_shape(const OnnxTensor& tensor, const Shape& shape) {
    return {make_reshape(shape)->infer(std::vector<Shape>{tensor.shape}, {}), tensor.values};
}

Outputs reshape(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    return {
        with_shape(at(inputs, 0), copied_dimensions(node, at(inputs, 1).integers(), at(inputs, 0).shape))};
}

template <bool remove>
Outputs squeeze(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    auto axes = node.integers("axes");
    if (inputs.size() > 1 && inputs[1] != nullptr) axes = inputs[1]->integers();
    const Shape& shape = at(inputs, 0).shape;
    return {with_shape(at(inputs, 0), remove ? squeezed(shape, axes) : unsqueezed(shape, axes))};
}

Outputs transpose(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    const OnnxTensor& x = at(inputs, 0);
    const auto order = transposition(node, x.shape.size());
    std::vector<int> places(order.size());
    for (std::size_t d = 0; d < order.size(); ++d) places[order[d]] = static_cast<int>(d);
    return {moved(x, places)};
}

Outputs expand_to(const OnnxNode&, std::int64_t, const Inputs& inputs) {
    return {expanded(at(inputs, 0), broadcast(at(inputs, 0).shape, at(inputs, 1).integers()))};
}

Outputs constant_of_shape(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    const Shape& shape = at(inputs, 0).integers();
    const auto count = static_cast<std::size_t>(checked_count(shape, 0));
    const auto found = node.attributes.find("value");
    if (found == node.attributes.end()) return {{shape, std::vector<float>(count, 0.0F)}};
    require(std::holds_alternative<OnnxTensor>(found->second), "a value that is no tensor");
    const auto& value = std::get<OnnxTensor>(found->second);
    require(element_count(value.shape) == 1, "a value of shape {}", to_string(value.shape));
    if (value.is_float()) return {{shape, std::vector<float>(count, value.floats()[0])}};
    return {{shape, std::vector<std::int64_t>(count, value.integers()[0])}};
}

Outputs where(const OnnxNode&, std::int64_t, const Inputs& inputs) {
    const Shape shape = broadcast(broadcast(at(inputs, 0).shape, at(inputs, 1).shape), at(inputs, 2).shape);
    const OnnxTensor condition = expanded(at(inputs, 0), shape);
    OnnxTensor result = expanded(at(inputs, 1), shape);
    const OnnxTensor other = expanded(at(inputs, 2), shape);
    require(result.is_float() == other.is_float(), "numbers and integers together");
    std::visit(
        [&](auto& values) {
            const auto& otherwise = std::get<std::decay_t<decltype(values)>>(other.values);
            for (std::size_t i = 0; i < values.size(); ++i)
                if (condition.integers()[i] == 0) values[i] = otherwise[i];
        },
        result.values);
    return {std::move(result)};
}

template <class T>
T to_the_power(T a, T b) {
    const double power = std::pow(static_cast<double>(a), static_cast<double>(b));
    if constexpr (std::is_integral_v<T>)
        require(std::abs(power) < 9e18, "{} to the power {} is no integer of 64 bits", a, b);
    return static_cast<T>(power);
}

/// Sums of integers wrap around rather than being undefined.
template <class T>
T plus(T a, T b) {
    if constexpr (std::is_integral_v<T>)
        return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
    return a + b;
}
template <class T>
T minus(T a, T b) {
    if constexpr (std::is_integral_v<T>)
        return static_cast<T>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
    return a - b;
}
template <class T>
T times(T a, T b) {
    if constexpr (std::is_integral_v<T>)
        return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
    return a * b;
}

template <class T>
T quotient(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
        require(b != 0, "a division by 0");
        return b == -1 ? minus<T>(0, a) : a / b;
    }
    return a / b;
}

template <class T>
T remainder(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
        require(b != 0, "a division by 0");
        if (b == -1) return 0;
        const T r = a % b;
        return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
    return std::fmod(a, b);
}

/// As fmod where the node asks for it (of integers the sign of the dividend), else as Python's %.
Outputs modulo(const OnnxNode& node, std::int64_t opset, const Inputs& inputs) {
    const auto truncated = [](auto a, auto b) {
        if constexpr (std::is_integral_v<decltype(a)>) {
            require(b != 0, "a division by 0");
            return b == -1 ? decltype(a)(0) : a % b;
        } else {
            return std::fmod(a, b);
        }
    };
    return node.integer("fmod", 0) != 0
               ? pairwise<false>(truncated)(node, opset, inputs)
               : pairwise<false>([](auto a, auto b) { return remainder(a, b); })(node, opset, inputs);
}

Outputs flatten(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    return {with_shape(at(inputs, 0), flattened(at(inputs, 0).shape, node.integer("axis", 1)))};
}

Outputs dequantize(const OnnxNode& node, std::int64_t, const Inputs& inputs) {
    return {dequantized(node, at(inputs, 0), at(inputs, 1), inputs.size() > 2 ? inputs[2] : nullptr)};
}

Outputs tile(const OnnxNode&, std::int64_t, const Inputs& inputs) {
    const OnnxTensor& x = at(inputs, 0);
    const auto& repeats = at(inputs, 1).integers();
    require(repeats.size() == x.shape.size(), "{} repeats of shape {}", repeats.size(), to_string(x.shape));
    Shape shape = x.shape;
    for (std::size_t d = 0; d < shape.size(); ++d) {
        require(repeats[d] >= 0 && repeats[d] < size_limit && shape[d] < size_limit, "{} repeats of {}",
                repeats[d], shape[d]);
        shape[d] *= repeats[d];
    }
    const Strides strides = strides_of(x.shape);
    return {picked(x, shape, [&](std::vector<std::int64_t> position) {
        for (std::size_t d = 0; d < position.size(); ++d) position[d] %= x.shape[d];
        return offset(strides, position);
    })};
}

/// Half to even, as ONNX's Round.
double rounded(double x) {
    return std::nearbyint(x);
}

template <class T>
bool is_nan(T x) {
    if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
    return false;
}

/// NaN where one is, as ONNX Runtime.
template <class T>
T smaller(T a, T b) {
    return b < a || is_nan(b) ? b : a;
}
template <class T>
T larger(T a, T b) {
    return b > a || is_nan(b) ? b : a;
}

template <class T>
T sign(T x) {
    if (x == T(0) || is_nan(x)) return x;
    return x > T(0) ? T(1) : T(-1);
}

template <class T>
T negative(T x) {
    if constexpr (std::is_integral_v<T>) return minus<T>(0, x);
    return -x;
}

template <class T>
T magnitude(T x) {
    if constexpr (std::is_floating_point_v<T>) return std::abs(x);
    return x < T(0) ? negative(x) : x;
}

/// A start, limit and step.
template <class T>
T single(const std::vector<T>& values) {
    require(values.size() == 1, "{} elements, expected one", values.size());
    return values[0];
}

Outputs range(const OnnxNode&, std::int64_t, const Inputs& inputs) {
    const auto values = [&]<class T>(T begin, T end, T step) {
        require(step != T(0), "a step of 0");
        const double count =
            std::ceil((static_cast<double>(end) - static_cast<double>(begin)) / static_cast<double>(step));
        require(count <= static_cast<double>(most_elements), "a range of {} elements", count);
        std::vector<T> result;
        for (std::int64_t i = 0; static_cast<double>(i) < count; ++i)
            result.push_back(plus(begin, times(static_cast<T>(i), step)));
        return OnnxTensor{{std::ssize(result)}, std::move(result)};
    };
    if (at(inputs, 0).is_float())
        return {values(single(at(inputs, 0).floats()), single(at(inputs, 1).floats()),
                       single(at(inputs, 2).floats()))};
    return {values(single(at(inputs, 0).integers()), single(at(inputs, 1).integers()),
                   single(at(inputs, 2).integers()))};
}

const std::map<std::string, Folding, std::less<>>& foldings() {
    static const std::map<std::string, Folding, std::less<>> table{
        {"Constant", constant},
        {"Identity", pass_on},
        {"Cast", cast},
        {"Concat", concat},
        {"Gather", gather},
        {"Slice", slice},
        {"Reshape", reshape},
        {"Squeeze", squeeze<true>},
        {"Unsqueeze", squeeze<false>},
        {"Transpose", transpose},
        {"Expand", expand_to},
        {"ConstantOfShape", constant_of_shape},
        {"Range", range},
        {"Where", where},
        {"Add", pairwise<false>([](auto a, auto b) { return plus(a, b); })},
        {"Sub", pairwise<false>([](auto a, auto b) { return minus(a, b); })},
        {"Mul", pairwise<false>([](auto a, auto b) { return times(a, b); })},
        {"Div", pairwise<false>([](auto a, auto b) { return quotient(a, b); })},
        {"Mod", modulo},
        {"Pow", pairwise<false>([](auto a, auto b) { return to_the_power(a, b); })},
        {"Min", several([](auto a, auto b) { return smaller(a, b); })},
        {"Max", several([](auto a, auto b) { return larger(a, b); })},
        {"Sum", several([](auto a, auto b) { return plus(a, b); })},
        {"Equal", pairwise<true>([](auto a, auto b) { return a == b; })},
        {"Less", pairwise<true>([](auto a, auto b) { return a < b; })},
        {"Greater", pairwise<true>([](auto a, auto b) { return a > b; })},
        {"LessOrEqual", pairwise<true>([](auto a, auto b) { return a <= b; })},
        {"GreaterOrEqual", pairwise<true>([](auto a, auto b) { return a >= b; })},
        {"Xor", pairwise<true>([](auto a, auto b) { return (a != 0) != (b != 0); })},
        {"Not", each([](auto a) { return a == 0 ? 1 : 0; })},
        {"Neg", each([](auto a) { return negative(a); })},
        {"Abs", each([](auto a) { return magnitude(a); })},
        {"Sign", each([](auto a) { return sign(a); })},
        {"And", pairwise<true>([](auto a, auto b) { return a != 0 && b != 0; })},
        {"Or", pairwise<true>([](auto a, auto b) { return a != 0 || b != 0; })},
        {"Sqrt", of_numbers([](double x) { return std::sqrt(x); })},
        {"Exp", of_numbers([](double x) { return std::exp(x); })},
        {"Log", of_numbers([](double x) { return std::log(x); })},
        {"Reciprocal", of_numbers([](double x) { return 1 / x; })},
        {"Sin", of_numbers([](double x) { return std::sin(x); })},
        {"Cos", of_numbers([](double x) { return std::cos(x); })},
        {"Tan", of_numbers([](double x) { return std::tan(x); })},
        {"Round", of_numbers(rounded)},
        {"Floor", of_numbers([](double x) { return std::floor(x); })},
        {"Ceil", of_numbers([](double x) { return std::ceil(x); })},
        {"DequantizeLinear", dequantize},
        {"Flatten", flatten},
        {"Split", split},
        {"Tile", tile},
        {"ReduceMax", reduction({}, [](auto a, auto b) { return larger(a, b); })},
        {"ReduceMin", reduction({}, [](auto a, auto b) { return smaller(a, b); })},
        {"ReduceProd", reduction(1, [](auto a, auto b) { return times(a, b); })},
        {"ReduceSum", reduction(0, [](auto a, auto b) { return plus(a, b); })},
    };
    return table;
}

}  // namespace

OnnxTensor expanded(const OnnxTensor& tensor, const Shape& shape) {
    if (tensor.shape == shape) return tensor;
    const Strides dense = strides_of(tensor.shape);
    Strides strides{0, std::vector<std::int64_t>(shape.size(), 0)};
    const std::size_t missing = shape.size() - tensor.shape.size();
    for (std::size_t d = 0; d < tensor.shape.size(); ++d)
        if (tensor.shape[d] != 1) strides.steps[missing + d] = dense.steps[d];
    return picked(tensor, shape, [&](const auto& position) { return offset(strides, position); });
}

bool can_fold(std::string_view type) {
    return foldings().contains(type);
}

std::optional<std::vector<OnnxTensor>> fold(const OnnxNode& node, std::int64_t opset, const Inputs& inputs) {
    const auto found = foldings().find(node.type);
    if (found == foldings().end()) return std::nullopt;
    return found->second(node, opset, inputs);
}

}  // namespace jlcm::onnx_rules
