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
    const Shape& input = context.input(node, 0).shape;
    const Shape shape = copied_dimensions(node, context.constant(node, 1).integers(), input);
    reshape_to(context, node, make_reshape(shape)->infer(std::vector<Shape>{input}, {}));
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

void squeeze(Context& context, const OnnxNode& node) {
    reshape_to(
        context, node,
        squeezed(context.input(node, 0).shape, context.integers(node, "axes", 1).value_or(Integers())));
}

void unsqueeze(Context& context, const OnnxNode& node) {
    const auto axes = context.integers(node, "axes", 1);
    if (!axes) fail("the axes are missing");
    reshape_to(context, node, unsqueezed(context.input(node, 0).shape, *axes));
}

// Nothing moves: only where each dimension lies is noted.
void transpose(Context& context, const OnnxNode& node) {
    const Value x = context.input(node, 0);
    const auto order = transposition(node, x.rank());
    Value result = x;
    for (std::size_t d = 0; d < order.size(); ++d) {
        result.places[d] = x.places[order[d]];
        result.shape[d] = x.shape[order[d]];
    }
    context.set(node, std::move(result));
}

Value take(Context& context, const OnnxNode& node, const Value& x, std::size_t axis, const Range& range) {
    return context.emit(node, make_slice({x.places[axis], range.begin, range.count, range.step}), {x.id}, {},
                        x.places);
}

void slice(Context& context, const OnnxNode& node) {
    Value x = context.input(node, 0);
    for (const auto& [axis, range] :
         slices(context.integers(node, "starts", 1), context.integers(node, "ends", 2),
                context.integers(node, "axes", 3), context.integers(node, "steps", 4), x.shape))
        x = take(context, node, x, axis, range);
    context.set(node, std::move(x));
}

void split(Context& context, const OnnxNode& node) {
    const Value x = context.input(node, 0);
    const std::size_t axis = axis_of(node.integer("axis", 0), x.rank());
    const auto parts = static_cast<std::int64_t>(node.outputs.size());
    require(parts > 0, "without outputs");
    const auto sizes =
        context.integers(node, "split", 1).value_or(Integers(node.outputs.size(), x.shape[axis] / parts));
    std::int64_t begin = 0;
    require(std::ssize(sizes) == parts, "{} sizes for {} parts", sizes.size(), parts);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        require(sizes[i] >= 0 && sizes[i] <= x.shape[axis] - begin, "parts that do not fit shape {}",
                to_string(x.shape));
        if (context.is_needed(node.outputs[i]))
            context.set(node, i, take(context, node, x, axis, {begin, sizes[i], 1}));
        begin += sizes[i];
    }
    require(begin == x.shape[axis], "parts that do not fill shape {}", to_string(x.shape));
}

void pad(Context& context, const OnnxNode& node) {
    Value x = context.input(node, 0);
    const Integers widths = bounded(context.integers(node, "pads", 1).value_or(Integers()));
    require(widths.size() == 2 * x.rank(), "pads do not fit shape {}", to_string(x.shape));
    PadAttributes attributes{Integers(x.rank(), 0), Integers(x.rank(), 0), PadMode::constant, 0};
    const std::string mode = node.text("mode", "constant");
    require(mode == "constant" || mode == "reflect" || mode == "edge", "the mode '{}'", mode);
    attributes.mode = nlohmann::json(mode).get<PadMode>();
    attributes.value = node.number("value", 0);
    if (node.has_input(2)) attributes.value = static_cast<double>(context.constant(node, 2).floats().at(0));
    for (std::size_t d = 0; d < x.rank(); ++d) {
        const auto place = static_cast<std::size_t>(x.places[d]);
        attributes.before[place] = std::max<std::int64_t>(widths[d], 0);
        attributes.behind[place] = std::max<std::int64_t>(widths[x.rank() + d], 0);
        // A negative width cuts.
        const std::int64_t before = std::max<std::int64_t>(-widths[d], 0);
        const std::int64_t behind = std::max<std::int64_t>(-widths[x.rank() + d], 0);
        if (before + behind > 0)
            x = take(context, node, x, d,
                     {before, std::max<std::int64_t>(x.shape[d] - before - behind, 0), 1});
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

// Indices are constants: parts, one after the other.
void gather(Context& context, const OnnxNode& node) {
    const Value x = context.input(node, 0);
    const OnnxTensor& index = context.constant(node, 1);
    require(!x.constant, "indices that depend on the input are not supported");
    const std::size_t axis = axis_of(node.integer("axis", 0), x.rank());
    std::vector<std::int64_t> indices = index.integers();
    require(!indices.empty(), "without indices");
    for (std::int64_t& each : indices) {
        const std::int64_t given = each;
        if (each < 0) each += x.shape[axis];
        require(each >= 0 && each < x.shape[axis], "index {} of {}", given, x.shape[axis]);
    }
    std::vector<Value> runs;
    for (std::size_t i = 0; i < indices.size();) {
        std::size_t end = i + 1;
        const std::int64_t step = end < indices.size() ? indices[end] - indices[i] : 1;
        while (step != 0 && end < indices.size() && indices[end] == indices[end - 1] + step) ++end;
        runs.push_back(take(context, node, x, axis,
                            {indices[i], static_cast<std::int64_t>(end - i), step == 0 ? 1 : step}));
        i = end;
    }
    Value result = runs.front();
    if (runs.size() > 1) {
        std::vector<ValueId> ids;
        for (const Value& run : runs) ids.push_back(run.id);
        result = context.emit(node, make_concat(x.places[axis]), ids, {}, x.places);
    }
    if (index.shape.size() != 1) {
        Shape shape = x.shape;
        const auto place = shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
        shape.insert(place, index.shape.begin(), index.shape.end());
        result = context.emit(node, make_reshape(context.open_shape(shape)), {context.plain(node, result)});
    }
    context.set(node, std::move(result));
}

void expand_to(Context& context, const OnnxNode& node) {
    const Value x = context.input(node, 0);
    Shape shape = broadcast(x.shape, context.constant(node, 1).integers());
    if (shape == x.shape) return context.set(node, x);
    std::vector<ValueId> inputs{context.plain(node, x)};
    for (std::int64_t& size : shape)
        if (context.is_batch(size)) size = -1;
    if (std::ranges::count(shape, -1) > 0) inputs.push_back(context.model_input().id);
    context.set(node, context.emit(node, make_expand(shape), inputs));
}

void shape_of(Context& context, const OnnxNode& node) {
    const Value& x = context.input(node, 0);
    const auto rank = static_cast<std::int64_t>(x.rank());
    const auto place = [&](std::int64_t at) {
        return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
    };
    const std::int64_t begin = place(node.integer("start", 0));
    const std::int64_t end = std::max(begin, place(node.integer("end", rank)));
    Value result;
    result.constant = OnnxTensor{{end - begin}, Integers(x.shape.begin() + begin, x.shape.begin() + end)};
    context.set(node, std::move(result));
}

void size_of_value(Context& context, const OnnxNode& node) {
    Value result;
    result.constant = OnnxTensor{{}, Integers{element_count(context.input(node, 0).shape)}};
    context.set(node, std::move(result));
}

void reduce(Context& context, const OnnxNode& node, Reduction reduction) {
    const Value x = context.input(node, 0);
    const auto given = context.integers(node, "axes", 1).value_or(Integers());
    const bool keep = node.integer("keepdims", 1) != 0;
    if (given.empty() && node.integer("noop_with_empty_axes", 0) != 0) return context.set(node, x);
    std::vector<bool> is_reduced(x.rank(), given.empty());
    for (const std::int64_t axis : given) is_reduced[axis_of(axis, x.rank())] = true;
    ReduceAttributes attributes{reduction, {}, keep};
    // Places among the dimensions that stay.
    std::vector<int> places;
    for (std::size_t d = 0; d < x.rank(); ++d) {
        if (is_reduced[d]) attributes.dimensions.push_back(x.places[d]);
        if (is_reduced[d] && !keep) continue;
        int place = x.places[d];
        for (std::size_t other = 0; other < x.rank() && !keep; ++other)
            if (is_reduced[other] && x.places[other] < x.places[d]) --place;
        places.push_back(place);
    }
    std::ranges::sort(attributes.dimensions);
    context.set(node, context.emit(node, make_reduce(attributes), {x.id}, {}, places));
}

template <Reduction reduction>
void plain_reduce(Context& context, const OnnxNode& node) {
    reduce(context, node, reduction);
}

}  // namespace

std::vector<std::pair<std::size_t, Range>> slices(const std::optional<std::vector<std::int64_t>>& starts,
                                                  const std::optional<std::vector<std::int64_t>>& ends,
                                                  std::optional<std::vector<std::int64_t>> axes,
                                                  std::optional<std::vector<std::int64_t>> steps,
                                                  const Shape& shape) {
    require(starts && ends && starts->size() == ends->size(), "starts and ends do not fit each other");
    if (!axes) {
        axes.emplace(starts->size());
        for (std::size_t i = 0; i < axes->size(); ++i) (*axes)[i] = static_cast<std::int64_t>(i);
    }
    if (!steps) steps.emplace(starts->size(), 1);
    require(axes->size() == starts->size() && steps->size() == starts->size(),
            "axes or steps do not fit starts");
    std::vector<std::pair<std::size_t, Range>> result;
    for (std::size_t i = 0; i < starts->size(); ++i) {
        const std::size_t axis = axis_of((*axes)[i], shape.size());
        const std::int64_t size = shape[axis];
        const std::int64_t step = std::clamp<std::int64_t>((*steps)[i], -size - 1, size + 1);
        require((*steps)[i] != 0, "a step of 0");
        // As numpy: what lies beyond the dimension is brought to its border.
        const auto place = [&](std::int64_t at) {
            if (at < 0)
                at = at < -size ? -1 : at + size;
            else if (at > size)
                at = size;
            return step > 0 ? std::clamp<std::int64_t>(at, 0, size)
                            : std::clamp<std::int64_t>(at, -1, size - 1);
        };
        const std::int64_t begin = place((*starts)[i]);
        const std::int64_t end = place((*ends)[i]);
        const std::int64_t count =
            step > 0 ? (end - begin + step - 1) / step : (begin - end - step - 1) / -step;
        const Range range{std::max<std::int64_t>(begin, 0), std::max<std::int64_t>(count, 0), step};
        if (range.begin != 0 || range.step != 1 || range.count != size) result.emplace_back(axis, range);
    }
    return result;
}

Shape copied_dimensions(const OnnxNode& node, Shape shape, const Shape& input) {
    if (node.integer("allowzero", 0) != 0) return shape;
    for (std::size_t d = 0; d < shape.size(); ++d) {
        if (shape[d] != 0) continue;
        require(d < input.size(), "dimension {} of {} is copied", d, to_string(input));
        shape[d] = input[d];
    }
    return shape;
}

Shape squeezed(const Shape& shape, const std::vector<std::int64_t>& axes) {
    std::vector<bool> goes(shape.size(), false);
    for (std::size_t d = 0; d < shape.size(); ++d) goes[d] = axes.empty() && shape[d] == 1;
    for (const std::int64_t axis : axes) {
        const std::size_t d = axis_of(axis, shape.size());
        require(shape[d] == 1, "dimension {} of shape {} is not 1", d, to_string(shape));
        goes[d] = true;
    }
    Shape result;
    for (std::size_t d = 0; d < shape.size(); ++d)
        if (!goes[d]) result.push_back(shape[d]);
    return result;
}

Shape unsqueezed(const Shape& shape, const std::vector<std::int64_t>& axes) {
    std::vector<bool> is_new(shape.size() + axes.size(), false);
    for (const std::int64_t axis : axes) is_new[axis_of(axis, is_new.size())] = true;
    require(std::ranges::count(is_new, true) == std::ssize(axes), "an axis stands there twice");
    Shape result;
    auto next = shape.begin();
    for (const bool is_one : is_new) result.push_back(is_one ? 1 : *next++);
    return result;
}

std::vector<std::size_t> transposition(const OnnxNode& node, std::size_t rank) {
    std::vector<std::size_t> order;
    for (const std::int64_t d : node.integers("perm")) order.push_back(axis_of(d, rank));
    if (!node.has("perm"))
        for (std::size_t d = rank; d-- > 0;) order.push_back(d);
    require(order.size() == rank, "perm has {} entries for {} dimensions", order.size(), rank);
    std::vector<bool> seen(rank, false);
    for (const std::size_t d : order) seen[d] = true;
    require(std::ranges::count(seen, true) == static_cast<std::int64_t>(rank), "perm is no permutation");
    return order;
}

void add_shape_rules(Rules& rules) {
    rules["Reshape"] = reshape;
    rules["Flatten"] = flatten;
    rules["Squeeze"] = squeeze;
    rules["Unsqueeze"] = unsqueeze;
    rules["Transpose"] = transpose;
    rules["Slice"] = slice;
    rules["Split"] = split;
    rules["Pad"] = pad;
    rules["Concat"] = concat;
    rules["Gather"] = gather;
    rules["Expand"] = expand_to;
    rules["Shape"] = shape_of;
    rules["Size"] = size_of_value;
    rules["ReduceMean"] = plain_reduce<Reduction::mean>;
    rules["ReduceSum"] = plain_reduce<Reduction::sum>;
}

}  // namespace jlcm::onnx_rules
