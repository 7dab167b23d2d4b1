#pragma once
// The stage before the blocks: neurons of similar distribution are put side by side, if the graph absorbs
// it.

#include "core/compress/compression_plan.hpp"
#include "core/model/reordered_model.hpp"

#include <map>
#include <memory>

namespace jlcm {

/// Clusters what moves together (gate and up; value rows in each head) by the grouping that `plan` has for
/// it, and returns `model` (which must outlive it) in the order that puts clusters side by side. Sets in
/// `plan` the groups of rows that lie in place then. Weights whose grouping wants no order are left alone;
/// if tied weights have different groupings, the first one's decides and the others count as unabsorbed.
[[nodiscard]] std::unique_ptr<ReorderedModel> reorder_model(const WeightSource& model,
                                                            const ReorderOptions& options,
                                                            std::map<ParameterId, MatrixPlan>& plan);

}  // namespace jlcm
