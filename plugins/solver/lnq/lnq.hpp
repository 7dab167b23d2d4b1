#pragma once
// LNQ: layer-wise non-uniform quantisation by alternating minimisation of tr((W^ - W) H (W^ - W)^T) (Kim et
// al., "GuidedQuant", arXiv 2505.07004, section 4): codebooks in closed form, mapping by cyclic coordinate
// descent.
//
// Codebook step of a group: c = (sum s_i^2 P_i^T H P_i)^-1 sum s_i P_i^T H w_i over its rows i, P_i the
// indicator matrix of row i's codes. Codewords are rounded to float16, as they are stored, and kept only
// where the objective falls. Mapping step: each weight in turn takes the codeword nearest to w^_j - (H r)_j /
// H_jj, r = w^ - w, which is the best one while the row's other weights stay. The objective never rises (up
// to float32 rounding).
//
// Cost: a cycle over R x C weights takes 2 R C^2 operations, a codebook step half of that; rows are lanes, so
// results do not depend on the number of threads. Memory: three times the weights in float32.

#include "core/codebook/solver.hpp"
#include "core/spec/fields.hpp"

namespace jlcm {

struct LnqParameters {
    int rounds = 2;         ///< mapping step, then codebook step; a codebook step goes before the first
    int cycles = 1;         ///< cycles of coordinate descent a round
    double damping = 1e-3;  ///< share of the mean of H's diagonal that is added to it

    void fields(Fields& v);
};

/// Scalar codewords, whole rows, one codebook stage, no outliers; any grouping of rows, scales and offsets
/// included.
SolverLog solve_lnq(const LayerProblem& problem, CompressedMatrix& matrix, const LnqParameters& parameters);

}  // namespace jlcm
