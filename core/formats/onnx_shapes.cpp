// What changes shapes, or takes parts.
#include "core/formats/onnx_context.hpp"

#include <algorithm>

namespace jlcm::onnx_rules {
namespace {

void reshape_to(Context& context, const OnnxNode& node, const Shape& shape) {
    const Value& x = context.input(node, 0);
    context.set(node, context.emit(node, make_reshape(context.open_shape(shape)), {context.plain(node, x)}));
}

void reshape(Context& context, const OnnxNode& node) {
    const Value& x = context.input(node, 0);
    Shape shape = context.constant(node, 1).integers();
    const bool zero_is_zero = node.integer("allowzero", 0) != 0;
    for (std::size_t d = 0; d < shape.size(); ++d)
        if (shape[d] == 0 && !zero_is_zero) {
            require(d < x.rank(), "dimension {} of {} is copied", d, to_string(x.shape));
            shape[d] = x.shape[d];
        }
    reshape_to(context, node, make_reshape(shape)->infer(std::vector<Shape>{x.shape}, {}));
}

void flatten(Context& context, const OnnxNode& node) {
    const Shape& shape = context.input(node, 0).shape;
    const std::int64_t axis = node.integer("axis", 1);
    const auto rank = static_cast<std::int64_t>(shape.size());
    require(axis >= -rank && axis <= rank, "the axis {} of shape {}", axis, to_string(shape));
    const auto middle = shape.begin() + (axis < 0 ? axis + rank : axis);
    reshape_to(context, node,
               {element_count(Shape(shape.begin(), middle)), element_count(Shape(middle, shape.end()))});
}

void transpose(Context& context, const OnnxNode& node) {
    Value x = context.input(node, 0);
    const auto rank = static_cast<std::int64_t>(x.rank());
    std::vector<std::int64_t> order = node.integers("perm");
    for (std::int64_t d = rank - 1; order.empty() && d >= 0;) {
        for (; d >= 0; --d) order.push_back(d);
    }
    require(std::ssize(order) == rank, "perm has {} entries for shape {}", order.size(), to_string(x.shape));
    Value result = x;
    for (std::size_t d = 0; d < order.size(); ++d) {
        const std::size_t from = axis_of(order[d], x.rank());
        result.places[d] = x.places[from];
        result.shape[d] = x.shape[from];
    }
    context.set(node, std::move(result));
}

struct Range {
    std::int64_t begin = 0;
    std::int64_t count = 0;
    std::int64_t step = 1;
};

/// What begin:end:step takes of `size` elements, by numpy's rules.
Range range_of(std::int64_t begin, std::int64_t end, std::int64_t step, std::int64_t size) {
    require(step != 0, "a step of 0");
    const auto place = [&](std::int64_t at) {
        if (at < 0) at = at < -size ? -1 : at + size;
        return step > 0 ? std::clamp<std::int64_t>(at, 0, size) : std::clamp<std::int64_t>(at, -1, size - 1);
    };
    const std::int64_t from = begin < -size && step > 0 ? 0 : place(begin);
    // A negative end below the dimension means "from the start" for negative steps.
    const std::int64_t to = end < -size ? (step > 0 ? 0 : -1) : place(end);
    const std::int64_t count = step > 0 ? (to - from + step - 1) / step : (from - to - step - 1) / -step;
    return {std::max<std::int64_t>(from, 0), std::max<std::int64_t>(count, 0), step};
}

void slice(Context& context, const OnnxNode& node) {
    Value x = context.input(node, 0);
    const auto begins = context.integers(node, "starts", 1);
    const auto ends = context.integers(node, "ends", 2);
    require(begins && ends && begins->size() == ends->size(), "starts and ends do not fit each other");
    std::vector<std::int64_t> axes(begins->size());
    for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
    axes = context.integers(node, "axes", 3).value_or(axes);
    const auto steps = context.integers(node, "steps", 4).value_or(Integers(axes.size(), 1));
    require(axes.size() == begins->size() && steps.size() == axes.size(), "axes or steps do not fit starts");
    for (std::size_t i = 0; i < axes.size(); ++i) {
        const std::size_t axis = axis_of(axes[i], x.rank());
        const Range range = range_of((*begins)[i], (*ends)[i], steps[i], x.shape[axis]);
        if (range.begin == 0 && range.step == 1 && range.count == x.shape[axis]) continue;
        x = context.emit(node, make_slice({x.places[axis], range.begin, range.count, range.step}), {x.id}, {},
                         x.places);
    }
    context.set(node, std::move(x));
}

void pad(Context& context, const OnnxNode& node) {
    const Value& x = context.input(node, 0);
    const auto widths = context.integers(node, "pads", 1);
    require(widths && widths->size() == 2 * x.rank(), "pads do not fit shape {}", to_string(x.shape));
    PadAttributes attributes{Integers(x.rank(), 0), Integers(x.rank(), 0), PadMode::constant, 0};
    Integers cut_before(x.rank(), 0);
    const std::string mode = node.text("mode", "constant");
    require(mode == "constant" || mode == "reflect" || mode == "edge", "the mode '{}'", mode);
    attributes.mode = nlohmann::json(mode).get<PadMode>();
    attributes.value = node.number("value", 0);
    if (node.has_input(2)) attributes.value = static_cast<double>(context.constant(node, 2).floats().at(0));
    for (std::size_t d = 0; d < x.rank(); ++d) {
        const auto place = static_cast<std::size_t>(x.places[d]);
        attributes.before[place] = (*widths)[d];
        attributes.behind[place] = (*widths)[x.rank() + d];
    }
    context.set(node, context.emit(node, make_pad(attributes), {x.id}, {}, x.places));
}

void concat(Context& context, const OnnxNode& node) {
    require(!node.inputs.empty() && node.has("axis"), "inputs or the axis are missing");
    // The order of the first that is no constant.
    std::vector<int> places;
    for (std::size_t i = 0; i < node.inputs.size() && places.empty(); ++i)
        places = context.input(node, i).places;
    const std::size_t axis = axis_of(node.integer("axis", 0), places.size());
    std::vector<ValueId> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const Value& value = context.input(node, i);
        require(value.rank() == places.size(), "shapes of {} and {} dimensions", value.rank(), places.size());
        inputs.push_back(context.in_places(node, value, places));
    }
    context.set(node, context.emit(node, make_concat(places[axis]), inputs, {}, places));
}

}  // namespace

void add_shape_rules(Rules& rules) {
    rules["Reshape"] = reshape;
    rules["Flatten"] = flatten;
    rules["Transpose"] = transpose;
    rules["Slice"] = slice;
    rules["Pad"] = pad;
    rules["Concat"] = concat;
    rules["Constant"] = [](Context&, const OnnxNode&) { fail("without a value"); };
}

}  // namespace jlcm::onnx_rules
