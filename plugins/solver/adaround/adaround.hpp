#pragma once
// AdaRound (Nagel et al., arXiv 2004.10568) on the layer objective: each weight rests between the two
// codewords around it, w^ = low + (high - low) h(v), h a rectified sigmoid; v learns by Adam on tr((W^ - W) H
// (W^ - W)^T) plus a regulariser sum 1 - |2 h - 1|^beta, whose beta falls, so that every h ends at 0 or 1.
//
// Departures. The neighbours are those of any codebook, not of an even grid only. The objective takes the
// second moments of all calibration inputs, not batches of them, so that its gradient 2 (W^ - W) H is exact.
// It is divided by its own scale, the mean over weights of H_jj (gap / 2)^2, so that one weight of the
// regulariser fits all layers; beta takes whole numbers. Mappings that are worse than the one that was given
// are not kept, row by row. The block objective with the same rounding is BRECQ (arXiv 2102.05426).

#include "core/codebook/solver.hpp"
#include "core/spec/fields.hpp"

namespace jlcm {

struct AdaRoundParameters {
    int steps = 400;
    double rate = 0.05;      ///< Adam step of v
    double regulariser = 3;  ///< weight of the regulariser beside the objective in its own scale
    double warmup = 0.2;     ///< share of the steps without regulariser
    int first_beta = 15;
    int last_beta = 2;
    double damping = 1e-3;  ///< share of the mean of H's diagonal that is added to it

    void fields(Fields& v);
};

/// Scalar codewords in one stage, no outliers; any grouping. Codebooks stay. Cost: 2 R C^2 operations a step.
SolverLog solve_adaround(const LayerProblem& problem, CompressedMatrix& matrix,
                         const AdaRoundParameters& parameters, Backend& backend);

}  // namespace jlcm
