// What picks elements by indices or by their order.
#include "core/formats/onnx_context.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm::onnx_rules {
namespace {

/// The value with a dimension moved to the end, whose places say so.
struct LastDimension {
    ValueId id = -1;
    std::vector<int> places;
};
LastDimension with_last(Context& context, const OnnxNode& node, const Value& x, std::size_t axis) {
    require(!context.is_batch(x.shape[axis]), "it goes along the dimension of samples");
    LastDimension result{-1, std::vector<int>(x.rank())};
    int next = 0;
    for (std::size_t d = 0; d < x.rank(); ++d)
        if (d != axis) result.places[d] = next++;
    result.places[axis] = next;
    result.id = context.in_places(node, x, result.places);
    return result;
}

template <bool largest>
void arg_maximum(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
    const std::size_t axis = axis_of(node.integer("axis", 0), x.rank());
    const LastDimension last = with_last(context, node, x, axis);
    const TopKAttributes top{1, largest, true, node.integer("select_last_index", 0) != 0};
    const Value found = context.emit(node, make_top_k(top), {last.id}, {}, last.places);
    if (node.integer("keepdims", 1) != 0) return context.set(node, found);
    Shape shape = found.shape;
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
    context.set(node,
                context.emit(node, make_reshape(context.open_shape(shape)), {context.plain(node, found)}));
}

void top_k(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
    const std::size_t axis = axis_of(node.integer("axis", -1), x.rank());
    const LastDimension last = with_last(context, node, x, axis);
    const auto count =
        context.opset() < 10 ? node.integer("k", 0) : static_cast<std::int64_t>(context.number(node, 1));
    require(count > 0 && count <= x.shape[axis], "{} elements of {}", count, x.shape[axis]);
    for (const bool indices : {false, true}) {
        const std::size_t output = indices ? 1 : 0;
        if (output >= node.outputs.size() || !context.is_needed(node.outputs[output])) continue;
        const TopKAttributes top{count, node.integer("largest", 1) != 0, indices, false};
        context.set(node, output, context.emit(node, make_top_k(top), {last.id}, {}, last.places));
    }
}

void cumulative_sum(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
    const std::size_t axis = axis_of(static_cast<std::int64_t>(context.number(node, 1)), x.rank());
    const LastDimension last = with_last(context, node, x, axis);
    context.set(node, context.emit(node,
                                   make_cumulative_sum(
                                       {node.integer("exclusive", 0) != 0, node.integer("reverse", 0) != 0}),
                                   {last.id}, {}, last.places));
}

void gather_elements(Context& context, const OnnxNode& node) {
    const Value x = context.any_data(node, 0);
    const std::size_t axis = axis_of(node.integer("axis", 0), x.rank());
    require(!context.is_batch(x.shape[axis]), "it picks among samples");
    const Value indices = context.any_data(node, 1);
    context.set(node, context.emit(node, make_gather_elements(static_cast<int>(axis)),
                                   {context.plain(node, x), context.plain(node, indices)}));
}

}  // namespace

void gather_by_data(Context& context, const OnnxNode& node) {
    const Value& known_table = context.input(node, 0);
    const std::size_t axis = axis_of(node.integer("axis", 0), known_table.rank());
    const OnnxTensor* constant = known_table.constant.get();
    // Where minus infinity masks, the table is no weight.
    const auto is_finite = [](float value) { return std::isfinite(value); };
    if (constant != nullptr && constant->is_float() && constant->shape.size() == 2 && axis == 0 &&
        std::ranges::all_of(constant->floats(), is_finite)) {
        const ParameterId id =
            context.parameter(node, known_table.name, "embedding", constant->shape, constant->floats());
        const ValueId rows = context.plain(node, context.input(node, 1));
        return context.set(node, context.emit(node, make_embedding(), {rows}, {id}));
    }
    const Value table = context.any_data(node, 0);
    require(!context.is_batch(table.shape[axis]), "it picks among samples");
    context.set(node,
                context.emit(node, make_gather(static_cast<int>(axis)),
                             {context.plain(node, table), context.plain(node, context.input(node, 1))}));
}

void add_selection_rules(Rules& rules) {
    rules["ArgMax"] = arg_maximum<true>;
    rules["ArgMin"] = arg_maximum<false>;
    rules["TopK"] = top_k;
    rules["CumSum"] = cumulative_sum;
    rules["GatherElements"] = gather_elements;
}

}  // namespace jlcm::onnx_rules
