#pragma once
// Codebooks whose codewords are vectors of consecutive weights, one or several stages that are added up.

#include "core/codebook/grouping.hpp"

namespace jlcm {

/// Whether this file and the solver aqlm handle a layout: one codebook (of any number of stages) for the
/// matrix, no column groups; a scale for every row group where the codebook is shared.
[[nodiscard]] bool has_one_vector_codebook(const Layout& layout);

/// A codebook [words, dimension] as its columns [dimension, words], which kernels run along.
[[nodiscard]] std::vector<float> codebook_columns(const float* codebook, std::int64_t words,
                                                  std::int64_t dimension);

/// Fills the codebooks of such a layout stage by stage by k-means of what the stages before leave (Lloyd's
/// algorithm from random vectors, on a sample of them; weights count by `importance`), and maps every vector
/// to its nearest codeword. Scales are the root mean squares of their rows' weights. Draws by the problem's
/// name.
[[nodiscard]] CompressedMatrix fill_vector_codebooks(const LayerProblem& problem, const GroupedRows& grouped,
                                                     const ImportanceOfRow& importance, int iterations);

}  // namespace jlcm
