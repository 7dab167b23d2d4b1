#pragma once
// Additive vector codebooks (Egiazarian et al., "AQLM", arXiv 2401.06118) on the layer objective: the codes
// of one or several stages by coordinate descent, the codebooks by least squares, row scales in closed form,
// in turn.
//
// Departures. Codes are searched one after the other, not by a beam over stages. The codebooks' least-squares
// problem is solved by conjugate gradients, each step of which is one product with the second moments, not by
// Adam. There is no fine-tuning of blocks afterwards. Steps that would raise the objective are not taken.

#include "core/codebook/solver.hpp"
#include "core/spec/fields.hpp"

namespace jlcm {

struct AqlmParameters {
    int rounds = 3;          ///< codes, then codebooks and scales
    int cycles = 1;          ///< passes over all codes in a round
    int codebook_steps = 8;  ///< conjugate gradient steps of a codebook update
    double damping = 1e-3;   ///< share of the mean of H's diagonal that is added to it

    void fields(Fields& v);
};

/// One codebook for the matrix, as the grouping `vectors` makes them, no outliers. Cost of a cycle: about
/// stages R C (K + C) operations, of a codebook step 2 R C^2. The objective does not rise, up to float32
/// rounding.
SolverLog solve_aqlm(const LayerProblem& problem, CompressedMatrix& matrix, const AqlmParameters& parameters,
                     Backend& backend);

}  // namespace jlcm
