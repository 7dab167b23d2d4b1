#pragma once
// SqueezeLLM (Kim et al., arXiv 2306.07629): k-means of each codebook's weights, every weight counting as
// much as its diagonal Fisher information, and a sparse part for what a codebook should not have to hold.
//
// Departures. The one-dimensional k-means is exact. The sparse part's values are float16 corrections of the
// dense one's, six bytes each with their column, counted in the footprint; a row's extremes are not told
// apart from a matrix's: outliers are the largest magnitudes of the matrix.

#include "core/codebook/codebook_init.hpp"
#include "core/spec/fields.hpp"

namespace jlcm {

struct SqueezeLlmParameters {
    double sensitive = 0;  ///< share of weights, those of the largest Fisher information, that are kept aside
    double outliers = 0;   ///< share of weights, those of the largest magnitude, that are kept aside

    void fields(Fields& v);
};

/// Replaces codebooks and mapping, in the same layout; requires problem.fisher. Scalar codewords in one
/// stage.
void solve_squeezellm(const LayerProblem& problem, CompressedMatrix& matrix,
                      const SqueezeLlmParameters& parameters);

/// How many weights it keeps aside at most: both shares, if no weight is in both.
[[nodiscard]] std::int64_t squeezellm_outliers(std::int64_t weights, const SqueezeLlmParameters& parameters);

}  // namespace jlcm
