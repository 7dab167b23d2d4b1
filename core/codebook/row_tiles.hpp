#pragma once
// Rows of a weight matrix as kernels of layer-wise solvers take them.
//
// A tile holds `solver_lanes` rows, transposed: element (column j, row l) lies at j * solver_lanes + l, so
// that rows are lanes of a vector register. Second moments H are symmetric, row-major, their side `cols` a
// multiple of `solver_columns` (padded with zeros).

#include <cstdint>

namespace jlcm {

constexpr std::int64_t solver_lanes = 48;
constexpr std::int64_t solver_columns = 64;  ///< columns are padded to a multiple of this

}  // namespace jlcm
