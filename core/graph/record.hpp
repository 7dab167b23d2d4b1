#pragma once
// Records: several tensors of a sample, one behind the other in a row. Where a graph has several inputs or outputs,
// one tensor [samples, elements] passes all the same: batches, caches and blocks need not know how many it holds.

#include "core/graph/graph.hpp"

namespace jlcm {

/// Columns [first, first + size) of a record, and the shape that they have without the dimension of samples.
struct RecordPart {
    Shape shape;
    std::int64_t first = 0;
    std::int64_t size = 0;
};

/// Where tensors of these shapes (of one sample) lie in their record.
[[nodiscard]] std::vector<RecordPart> record_parts(const std::vector<Shape>& shapes);

/// `value` with a first dimension of samples: a node that gives it one is appended where the first holds several rows of
/// each sample, or the value is one number.
[[nodiscard]] ValueId by_sample(Graph& graph, ValueId value);

/// Appends what makes a record of values whose first dimension is that of samples; a single value is its own.
[[nodiscard]] ValueId add_record(Graph& graph, const std::vector<ValueId>& values);

/// Appends what takes a part out of a record: [samples, .. the part's shape].
[[nodiscard]] ValueId add_part(Graph& graph, ValueId record, const RecordPart& part);

/// Columns of a record [samples, elements] as [samples, .. the part's shape].
[[nodiscard]] Tensor part_of(const Tensor& record, const RecordPart& part);
/// Puts a part in its columns.
void put_part(const Tensor& part, const RecordPart& place, Tensor& record);

}  // namespace jlcm
