#pragma once
// The factorisation that error feedback is made of: H = N D N^T, N unit upper triangular, D diagonal. With
// errors e (a row), e H e^T = sum over j of D_j (e_j + sum_{i < j} e_i N_ij)^2, so that deciding columns from
// left to right, column j makes up best for the errors before it where it aims at
// w_j - sum_{i < j} e_i N_ij.
//
// GPTQ (arXiv 2210.17323, section 3.3) takes the upper Cholesky factor U of H^-1; it is D^-1/2 N^-1, and its
// weights "updated so far" are these aims. N comes from one factorisation of H itself, without an inverse,
// and its feedback is a product, not an update of all later weights.

#include "core/tensor/tensor.hpp"

#include <vector>

namespace jlcm {

class Backend;

struct FeedbackFactor {
    Tensor feedback;              ///< N: float32 [n, n]; below the diagonal zeros
    std::vector<float> diagonal;  ///< D, positive
};

/// Factors `matrix` (symmetric, float32 [n, n]), which it takes over as working memory. Blocked: products by
/// `backend` in float32, diagonal blocks in float64. Throws an input error that begins with `name` where
/// the matrix is not positive definite.
[[nodiscard]] FeedbackFactor factor_feedback(const std::string& name, Tensor matrix, Backend& backend);

}  // namespace jlcm
