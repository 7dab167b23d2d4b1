#pragma once
// The permutation analysis in words.

#include "core/graph/permutation.hpp"

#include <string>

namespace jlcm {

/// For every linear weight: how its rows may be ordered, what absorbs that, what moves along, or why they
/// have to stay. Weights of several blocks of which the same is true are listed once, `*` for the block.
[[nodiscard]] std::string permutation_report(const Graph& graph, const PermutationAnalysis& analysis);

}  // namespace jlcm
