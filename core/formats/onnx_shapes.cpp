// What changes shapes, or takes parts.
#include "core/formats/onnx_context.hpp"

#include <algorithm>

namespace jlcm::onnx_rules {
namespace {

/// The same elements in the shape that `change` makes of the input's; `knows_batch`: of any batch's.
void reshape_by(Context& context, const OnnxNode& node, const std::function<Shape(const Shape&)>& change,
                bool knows_batch = false) {
    const Value x = context.any_data(node, 0);
    const Shape shape = knows_batch ? change(x.shape) : context.for_all_samples(x.shape, change);
    context.set(node, context.emit(node, make_reshape(context.open_shape(shape)), {context.plain(node, x)}));
}

void reshape(Context& context, const OnnxNode& node) {
    const Shape& asked = context.constant(node, 1).integers();
    const auto change = [&](const Shape& from) {
        return make_reshape(copied_dimensions(node, asked, from))->infer(std::vector<Shape>{from}, {});
    };
    reshape_by(context, node, change,
               std::ranges::any_of(asked, [&](std::int64_t size) { return context.holds_batch(size); }));
}

void flatten(Context& context, const OnnxNode& node) {
    reshape_by(context, node, [&](const Shape& from) { return flattened(from, node.integer("axis", 1)); });
}

void squeeze(Context& context, const OnnxNode& node) {
    const auto axes = context.integers(node, "axes", 1).value_or(Integers());
    reshape_by(context, node, [&](const Shape& from) { return squeezed(from, axes); });
}

void unsqueeze(Context& context, const OnnxNode& node) {
    const auto axes = context.integers(node, "axes", 1);
    if (!axes) fail("the axes are missing");
    reshape_by(
        context, node, [&](const Shape& from) { return unsqueezed(from, *axes); }, context.moves_samples());
}

// Nothing moves: only where each dimension lies is noted.
void transpose(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
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
    Value x = context.any_data(node, 0);
    for (const auto& [axis, range] :
         slices(context.integers(node, "starts", 1), context.integers(node, "ends", 2),
                context.integers(node, "axes", 3), context.integers(node, "steps", 4), x.shape))
        x = take(context, node, x, axis, range);
    context.set(node, std::move(x));
}

void split(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
    const std::size_t axis = axis_of(node.integer("axis", 0), x.rank());
    const auto ranges = split_ranges(x.shape[axis], node.outputs.size(), context.integers(node, "split", 1),
                                     node.has("num_outputs"));
    for (std::size_t i = 0; i < ranges.size(); ++i)
        if (context.is_needed(node.outputs[i])) context.set(node, i, take(context, node, x, axis, ranges[i]));
}

/// Widths before and behind of some dimensions as those of all.
Integers along_all(const Integers& widths, const Integers& axes, std::size_t rank) {
    require(widths.size() == 2 * axes.size(), "{} pads for {} axes", widths.size(), axes.size());
    Integers all(2 * rank, 0);
    for (std::size_t i = 0; i < axes.size(); ++i) {
        const std::size_t d = axis_of(axes[i], rank);
        all[d] = widths[i];
        all[rank + d] = widths[axes.size() + i];
    }
    return all;
}

void pad(Context& context, const OnnxNode& node) {
    Value x = context.any_data(node, 0);
    Integers widths = bounded(context.integers(node, "pads", 1).value_or(Integers()));
    if (node.has_input(3)) widths = along_all(widths, context.constant(node, 3).integers(), x.rank());
    require(widths.size() == 2 * x.rank(), "pads do not fit shape {}", to_string(x.shape));
    PadAttributes attributes{Integers(x.rank(), 0), Integers(x.rank(), 0), PadMode::constant, 0};
    const std::string mode = node.text("mode", "constant");
    require(mode == "constant" || mode == "reflect" || mode == "edge", "the mode '{}'", mode);
    attributes.mode = nlohmann::json(mode).get<PadMode>();
    attributes.value = node.number("value", 0);
    if (node.has_input(2)) attributes.value = context.number(node, 2);
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

/// `x` broadcast to `shape`.
Value repeated(Context& context, const OnnxNode& node, const Value& x, Shape shape) {
    std::vector<ValueId> inputs{context.plain(node, x)};
    for (std::int64_t& size : shape)
        if (context.is_batch(size)) size = -1;
    if (std::ranges::count(shape, -1) > 0) inputs.push_back(context.samples());
    return context.emit(node, make_expand(shape), inputs);
}

void concat(Context& context, const OnnxNode& node) {
    require(!node.inputs.empty() && node.has("axis"), "inputs or the axis are missing");
    // The order of the first that is no constant.
    std::vector<int> places;
    std::int64_t samples = 1;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const Value& value = context.input(node, i);
        if (places.empty()) places = value.places;
        if (value.rank() > 0 && context.is_batch(value.shape[0])) samples = value.shape[0];
    }
    if (places.empty()) places = in_order(context.input(node, 0).rank());
    const std::size_t axis = axis_of(node.integer("axis", 0), places.size());
    std::vector<ValueId> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        Value value = context.input(node, i);
        require(value.rank() == places.size(), "shapes of {} and {} dimensions", value.rank(), places.size());
        // A constant for the one sample of a file whose batch is fixed stands there for each.
        if (value.constant && samples > 1 && axis > 0 && value.shape[0] == 1) {
            Shape shape = value.shape;
            shape[0] = samples;
            value = repeated(context, node, context.any_data(node, i), shape);
        }
        inputs.push_back(context.in_places(node, value, places));
    }
    context.set(node, context.emit(node, make_concat(places[axis]), inputs, {}, places));
}

/// Whether the first dimension is that of the samples of a file for one: to pick this one is to pick each.
bool is_of_one_sample(const Context& context, const Shape& shape) {
    bool is_one = false;
    (void)context.for_all_samples(shape, [&](const Shape& of_file) {
        is_one = !of_file.empty() && of_file[0] == 1;
        return of_file;
    });
    return is_one && !shape.empty() && context.is_batch(shape[0]);
}

// Indices that are constants: parts, one after the other.
void gather(Context& context, const OnnxNode& node) {
    if (context.input(node, 1).constant == nullptr) return gather_by_data(context, node);
    const OnnxTensor& index = context.constant(node, 1);
    const Value x = context.any_data(node, 0);
    const std::size_t axis = axis_of(node.integer("axis", 0), x.rank());
    std::vector<std::int64_t> indices = index.integers();
    require(!indices.empty(), "without indices");
    for (std::int64_t& each : indices) {
        const std::int64_t given = each;
        if (each < 0) each += x.shape[axis];
        require(each >= 0 && each < x.shape[axis], "index {} of {}", given, x.shape[axis]);
    }
    if (axis == 0 && index.shape.empty() && indices.front() == 0 && is_of_one_sample(context, x.shape))
        return reshape_by(context, node, [](const Shape& from) { return squeezed(from, {0}); });
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
    const Value x = context.any_data(node, 0);
    const Shape shape = broadcast(x.shape, context.constant(node, 1).integers());
    context.set(node, shape == x.shape ? x : repeated(context, node, x, shape));
}

/// A constant that is repeated for each sample.
void constant_of_shape(Context& context, const OnnxNode& node) {
    const Shape& shape = context.constant(node, 0).integers();
    Shape one(shape.size(), 1);
    const OnnxTensor list{{std::ssize(one)}, one};
    auto folded = fold(node, context.opset(), {&list});
    if (!folded) fail("no rule for known inputs");
    OnnxTensor value = std::move(folded->front());
    const OnnxNode source{
        .name = node.name, .type = "", .inputs = {}, .outputs = node.outputs, .attributes = {}};
    Value x = known(node.name + ".value", std::move(value));
    x.places = in_order(shape.size());
    x.id = context.plain(source, x);
    x.constant.reset();
    context.set(node, repeated(context, node, x, shape));
}

/// As many copies along each dimension as said.
void tile(Context& context, const OnnxNode& node) {
    Value x = context.any_data(node, 0);
    const auto& repeats = context.constant(node, 1).integers();
    require(repeats.size() == x.rank(), "{} repeats of shape {}", repeats.size(), to_string(x.shape));
    for (std::size_t d = 0; d < x.rank(); ++d) {
        require(repeats[d] > 0 && repeats[d] < 1 << 12, "{} repeats of dimension {}", repeats[d], d);
        const std::vector<ValueId> copies(static_cast<std::size_t>(repeats[d]), x.id);
        if (repeats[d] > 1) x = context.emit(node, make_concat(x.places[d]), copies, {}, x.places);
    }
    context.set(node, std::move(x));
}

void shape_of(Context& context, const OnnxNode& node) {
    const Value& x = context.input(node, 0);
    const auto rank = static_cast<std::int64_t>(x.rank());
    const auto place = [&](std::int64_t at) {
        return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
    };
    const std::int64_t begin = place(node.integer("start", 0));
    const std::int64_t end = std::max(begin, place(node.integer("end", rank)));
    context.set(node, known("", {{end - begin}, Integers(x.shape.begin() + begin, x.shape.begin() + end)}));
}

void size_of_value(Context& context, const OnnxNode& node) {
    context.set(node, known("", {{}, Integers{element_count(context.input(node, 0).shape)}}));
}

Value reduced(Context& context, const OnnxNode& node, const Value& x, Reduction reduction) {
    const auto given = context.integers(node, "axes", 1).value_or(Integers());
    const bool keep = node.integer("keepdims", 1) != 0;
    if (given.empty() && node.integer("noop_with_empty_axes", 0) != 0) return x;
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
    return context.emit(node, make_reduce(attributes), {x.id}, {}, places);
}

template <Reduction reduction>
void plain_reduce(Context& context, const OnnxNode& node) {
    context.set(node, reduced(context, node, context.data(node, 0), reduction));
}

/// A function of the sum of a function of the elements.
void reduce_with(Context& context, const OnnxNode& node, const UnaryFunction& before,
                 const std::optional<UnaryFunction>& behind) {
    const auto apply = [&](const UnaryFunction& function, const Value& x) {
        return context.emit(node, make_unary(function), {x.id}, {}, x.places);
    };
    const Value sum = reduced(context, node, apply(before, context.data(node, 0)), Reduction::sum);
    context.set(node, behind ? apply(*behind, sum) : sum);
}

void reduce_l1(Context& context, const OnnxNode& node) {
    reduce_with(context, node, {Unary::absolute}, {});
}

void reduce_l2(Context& context, const OnnxNode& node) {
    reduce_with(context, node, {Unary::power, 2, 0}, UnaryFunction{Unary::power, 0.5, 0});
}

void reduce_sum_square(Context& context, const OnnxNode& node) {
    reduce_with(context, node, {Unary::power, 2, 0}, {});
}

/// x seen as `apart`, its dimensions put in `order`, seen as `result`.
void rearrange(Context& context, const OnnxNode& node, const Value& x, const Shape& apart,
               const std::vector<int>& order, const Shape& result) {
    const Value split = context.emit(node, make_reshape(context.open_shape(apart)), {context.plain(node, x)});
    const Value turned = context.emit(node, make_transpose(order), {split.id});
    context.set(node, context.emit(node, make_reshape(context.open_shape(result)), {turned.id}));
}

/// The side of the squares that become channels, or that channels become.
std::int64_t square_side(const OnnxNode& node, const Value& x) {
    const std::int64_t side = node.integer("blocksize", 0);
    require(x.rank() == 4 && side > 0 && side < 1 << 15, "blocks of {} in shape {}", side,
            to_string(x.shape));
    return side;
}

void depth_to_space(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
    const std::int64_t side = square_side(node, x);
    const std::string mode = node.text("mode", "DCR");
    require((mode == "DCR" || mode == "CRD") && x.shape[1] % (side * side) == 0,
            "the mode '{}' with blocks of {} in shape {}", mode, side, to_string(x.shape));
    const std::int64_t channels = x.shape[1] / (side * side);
    const std::int64_t height = x.shape[2];
    const std::int64_t width = x.shape[3];
    const Shape result{x.shape[0], channels, height * side, width * side};
    if (mode == "DCR")
        rearrange(context, node, x, {x.shape[0], side, side, channels, height, width}, {0, 3, 4, 1, 5, 2},
                  result);
    else
        rearrange(context, node, x, {x.shape[0], channels, side, side, height, width}, {0, 1, 4, 2, 5, 3},
                  result);
}

void space_to_depth(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
    const std::int64_t side = square_side(node, x);
    require(x.shape[2] % side == 0 && x.shape[3] % side == 0, "blocks of {} in shape {}", side,
            to_string(x.shape));
    const std::int64_t height = x.shape[2] / side;
    const std::int64_t width = x.shape[3] / side;
    rearrange(context, node, x, {x.shape[0], x.shape[1], height, side, width, side}, {0, 3, 5, 1, 2, 4},
              {x.shape[0], x.shape[1] * side * side, height, width});
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

std::vector<Range> split_ranges(std::int64_t size, std::size_t parts,
                                const std::optional<std::vector<std::int64_t>>& sizes, bool may_be_uneven) {
    const auto count = static_cast<std::int64_t>(parts);
    require(count > 0 && (!sizes || std::ssize(*sizes) == count), "{} sizes for {} parts",
            sizes ? sizes->size() : 0, count);
    std::vector<Range> ranges;
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < parts; ++i) {
        std::int64_t part = sizes ? (*sizes)[i] : size / count;
        if (!sizes && may_be_uneven) part = std::min((size + count - 1) / count, size - begin);
        require(part >= 0 && part <= size - begin, "parts that do not fit a dimension of {}", size);
        ranges.push_back({begin, part, 1});
        begin += part;
    }
    require(begin == size, "parts that do not fill a dimension of {}", size);
    return ranges;
}

Shape flattened(const Shape& shape, std::int64_t axis) {
    const auto rank = static_cast<std::int64_t>(shape.size());
    require(axis >= -rank && axis <= rank, "the axis {} of shape {}", axis, to_string(shape));
    const auto middle = shape.begin() + (axis < 0 ? axis + rank : axis);
    return {element_count(Shape(shape.begin(), middle)), element_count(Shape(middle, shape.end()))};
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
    rules["ConstantOfShape"] = constant_of_shape;
    rules["Tile"] = tile;
    rules["Shape"] = shape_of;
    rules["Size"] = size_of_value;
    rules["ReduceMean"] = plain_reduce<Reduction::mean>;
    rules["ReduceL1"] = reduce_l1;
    rules["ReduceL2"] = reduce_l2;
    rules["ReduceSumSquare"] = reduce_sum_square;
    rules["DepthToSpace"] = depth_to_space;
    rules["SpaceToDepth"] = space_to_depth;
    rules["ReduceSum"] = plain_reduce<Reduction::sum>;
}

}  // namespace jlcm::onnx_rules
