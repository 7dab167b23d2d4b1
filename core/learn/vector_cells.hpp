#pragma once
// The cells of codewords that are vectors, or sums of those of several stages. A latent vector per code stands
// for the weights, in units of their scale; of each stage its cell is that of the codeword nearest to what
// the other stages leave of it. In one dimension and one stage this is what latent.hpp and the kernel of the
// estimator "nearest" do.

#include "core/codebook/compressed_matrix.hpp"
#include "core/learn/estimator.hpp"
#include "core/learn/latent.hpp"

#include <vector>

namespace jlcm {

/// The mean distance of a stage's codewords to the nearest other one.
[[nodiscard]] float vector_spacing(const CompressedMatrix& matrix, int stage);
/// That of the stage whose codewords lie closest: the unit of steps of latents, and of margins.
[[nodiscard]] float latent_spacing(const CompressedMatrix& matrix);

/// Finds codewords.
class CodewordSearch {
  public:
    explicit CodewordSearch(const CompressedMatrix& matrix);
    /// The codeword of a stage nearest to `vector` [dimension], of equal ones mostly the first.
    [[nodiscard]] int nearest(int stage, const float* vector) const;

  private:
    int words_;
    int dimension_;
    std::vector<std::vector<float>> columns_;  ///< of each stage, [dimension, K]
    std::vector<std::vector<float>> lengths_;  ///< squared, [K]
};

/// Latents [rows, cols] in stored row order: the original weights over their row's scale, each vector moved
/// towards what its codes stand for until it lies its margin inside the border to every other codeword of
/// every stage, or in a narrow cell as far as the codewords themselves.
[[nodiscard]] Tensor latent_vectors_in_cells(const CompressedMatrix& matrix, const Tensor& target,
                                             const StartMargin& margin);

/// The codes in whose cells latents lie, shaped as the mapping: stage after stage, from the present ones.
[[nodiscard]] Tensor codes_of_cells(const CompressedMatrix& matrix, const Tensor& latent);

/// How far each latent vector lies beyond the border between what its codes and what `wanted` stand for, in
/// spacings, [rows, codes of a row]; 0 where the codes are the same.
[[nodiscard]] Tensor beyond_vector_cells(const CompressedMatrix& matrix, const Tensor& latent,
                                         const Tensor& wanted);

/// Takes `wanted` for the mapping and counts the jumps. `wishes`: undefined, or one for each vector of a row
/// [rows, codes of a row]; those with 0 keep their codes.
void take_codes(CompressedMatrix& matrix, const Tensor& wanted, const Tensor& wishes, JumpHistogram& jumps);

}  // namespace jlcm
