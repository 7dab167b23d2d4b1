#pragma once
// GPTQ (Frantar et al., arXiv 2210.17323): columns are mapped one after the other, each making up for the
// errors of those before it as far as the layer's second moments H allow; codebooks stay as they are.
//
// Departures. The feedback comes from a factorisation of H, not of its inverse (feedback_factor.hpp: the same
// numbers). The grid of a group is any codebook, and any grouping of rows and columns: the nearest codeword
// of the weight's group is taken. With `activation` order groups remain what they are in the stored order of
// columns, so that nothing is stored beyond them.
//
// Cost: R C^2 operations, nearly all in products of blocks of 128 columns with the errors before them, and
// C^3 / 3 for the factor. Memory: three times the weights and H in float32. Results do not depend on the
// number of threads.

#include "core/codebook/even_grid.hpp"
#include "core/spec/fields.hpp"

#include <optional>

namespace jlcm {

enum class ColumnOrder : std::uint8_t { natural, activation };
inline EnumNames<ColumnOrder> enum_names(ColumnOrder /*tag*/) {
    return {{ColumnOrder::natural, "natural", "as they are stored"},
            {ColumnOrder::activation, "activation",
             "by falling second moment of their inputs: columns that matter most come first, while there are "
             "still many to make up for their errors (\"act-order\")"}};
}

struct GptqParameters {
    double damping = 0.01;  ///< share of the mean of H's diagonal that is added to it
    ColumnOrder order = ColumnOrder::natural;
    /// Scales and offsets of column groups are found anew when their first column comes, from the weights as
    /// feedback has changed them (natural order only); none: they stay the initialiser's.
    std::optional<GridFit> refit;

    void fields(Fields& v);
};

/// Scalar codewords in one stage, no outliers; any grouping. With `refit`, one shared codebook and a group
/// for every row and column group. The log's objective holds the end only.
SolverLog solve_gptq(const LayerProblem& problem, CompressedMatrix& matrix, const GptqParameters& parameters,
                     Backend& backend);

}  // namespace jlcm
