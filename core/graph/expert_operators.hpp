#pragma once
// Operators of mixtures of experts: each token is read by a few of many MLPs. Shazeer et al., "Outrageously large neural
// networks", 2017; Jiang et al., "Mixtral of experts", 2024.

#include "core/graph/operator.hpp"

#include <cstdint>
#include <vector>

namespace jlcm {

/// Scores [.., experts] as weights: their softmax, of which all but the `chosen` largest (the first of equals) are
/// zero; those sum to one if `normalised`. No gradient goes through the choice.
[[nodiscard]] OperatorPtr make_routing(std::int64_t chosen, bool normalised);

/// y = x W^T for rows of which many are zero: they cost nothing, forward or backward. `share`: of rows that are not,
/// as plans have it. Parameter: W [out, in].
[[nodiscard]] OperatorPtr make_routed_linear(double share);

/// The rows of x [.., width] (floating-point) that are not all zero, in order.
[[nodiscard]] std::vector<std::int64_t> rows_in_use(const Tensor& x);
/// Whether the operator's rows in use are those that an expert was given.
[[nodiscard]] bool reads_routed_rows(const Operator& op);

}  // namespace jlcm
