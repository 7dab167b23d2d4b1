#include "core/graph/record.hpp"

#include "core/graph/tensor_operators.hpp"

#include <algorithm>

namespace jlcm {
namespace {

/// Calls `copy` with each sample's elements in the record, and in the part.
void for_each_sample(const Tensor& record, const RecordPart& part, const Tensor& tensor, const auto& copy) {
    ensure(record.shape().size() == 2 && record.cols() >= part.first + part.size &&
               tensor.size() == record.rows() * part.size && record.dtype() == tensor.dtype(),
           "columns [{}, {}) of a record {}, and a part {}", part.first, part.first + part.size,
           to_string(record.shape()), to_string(tensor.shape()));
    const std::size_t element = size_of(record.dtype());
    const std::size_t bytes = static_cast<std::size_t>(part.size) * element;
    for (std::int64_t sample = 0; sample < record.rows(); ++sample)
        copy(static_cast<std::size_t>(sample * record.cols() + part.first) * element,
             static_cast<std::size_t>(sample) * bytes, bytes);
}

}  // namespace

std::vector<RecordPart> record_parts(const std::vector<Shape>& shapes) {
    std::vector<RecordPart> parts;
    std::int64_t first = 0;
    for (const Shape& shape : shapes) {
        parts.push_back({shape, first, element_count(shape)});
        first += parts.back().size;
    }
    return parts;
}

ValueId by_sample(Graph& graph, ValueId value) {
    Shape shape = graph.infer(graph.input_shape()).at(static_cast<std::size_t>(value));
    const std::int64_t samples = graph.input_shape().front();
    if (shape.empty()) return graph.add("by_sample", make_reshape({-1, 1}), {value});
    if (shape.front() == samples || shape.front() % samples != 0) return value;
    shape.front() /= samples;
    shape.insert(shape.begin(), -1);
    return graph.add("by_sample", make_reshape(std::move(shape)), {value});
}

ValueId add_record(Graph& graph, const std::vector<ValueId>& values) {
    if (values.size() == 1) return values.front();
    const std::vector<Shape> shapes = graph.infer(graph.input_shape());
    std::vector<ValueId> rows;
    for (const ValueId value : values) {
        const Shape& shape = shapes.at(static_cast<std::size_t>(value));
        ensure(!shape.empty() && shape[0] == graph.input_shape()[0], "a part of shape {} for each sample",
               to_string(shape));
        rows.push_back(
            shape.size() == 2
                ? value
                : graph.add("record.row", make_reshape({-1, element_count(shape) / shape[0]}), {value}));
    }
    return graph.add("record", make_concat(1), rows);
}

ValueId add_part(Graph& graph, ValueId record, const RecordPart& part) {
    const ValueId columns = graph.add("record.columns", make_slice({1, part.first, part.size, 1}), {record});
    if (part.shape.size() == 1) return columns;
    Shape shape = part.shape;
    shape.insert(shape.begin(), -1);
    return graph.add("record.part", make_reshape(std::move(shape)), {columns});
}

Tensor part_of(const Tensor& record, const RecordPart& part) {
    Shape shape = part.shape;
    shape.insert(shape.begin(), record.rows());
    Tensor result = Tensor::empty(shape, record.dtype());
    for_each_sample(record, part, result, [&](std::size_t from, std::size_t to, std::size_t bytes) {
        std::ranges::copy(record.bytes().subspan(from, bytes), result.bytes().subspan(to).begin());
    });
    return result;
}

void put_part(const Tensor& part, const RecordPart& place, Tensor& record) {
    for_each_sample(record, place, part, [&](std::size_t to, std::size_t from, std::size_t bytes) {
        std::ranges::copy(part.bytes().subspan(from, bytes), record.bytes().subspan(to).begin());
    });
}

}  // namespace jlcm
