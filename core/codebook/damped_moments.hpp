#pragma once
// A layer's second moments as solvers use them.

#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace jlcm {

/// H with a ridge on its diagonal, exactly symmetric, float32, padded with zeros to a multiple of
/// solver_columns.
struct DampedMoments {
    std::int64_t cols = 0;    ///< padded
    Tensor matrix;            ///< [cols, cols]
    Tensor inverse_diagonal;  ///< [cols]; 0 where the diagonal is 0
};

/// `second_moments`: float32 or float64 [n, n], valid. The ridge is `damping` times the mean of the diagonal, or 1
/// where all of it is zero. `samples`: inputs in the sum, 0: not known. `notes` receives what a user should
/// know.
[[nodiscard]] DampedMoments damp(const Tensor& second_moments, std::int64_t samples, double damping,
                                 std::vector<std::string>& notes);

}  // namespace jlcm
