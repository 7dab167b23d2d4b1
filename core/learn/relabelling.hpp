#pragma once
// What an estimator keeps per candidate codeword follows the codewords when those are sorted anew.

#include "core/codebook/compressed_matrix.hpp"

#include <cstdint>
#include <functional>
#include <span>

namespace jlcm {

/// Calls body(index, code, label) for every weight of the matrix in turn: its place in stored row order, its
/// present code, and the former code of each codeword of its group [K]. `former`: as sort_codewords returns it.
void for_relabelled_weights(
    const CompressedMatrix& matrix, const GroupMap& groups, const Tensor& former,
    const std::function<void(std::int64_t index, int code, const std::uint8_t* label)>& body);

/// What a weight keeps of the candidates of its window (at most 256) goes where these are now. The window
/// began at codeword `former_begin` and begins at `begin`. A candidate from outside takes the value at the former
/// window's border. `label`: as above.
void follow_labels(std::span<float> window, int begin, int former_begin, const std::uint8_t* label);

/// The same for scores, of which a candidate from outside starts half a unit a codeword below that of the
/// weight's present codeword `code`, which is in both windows.
void follow_score_labels(std::span<float> window, int begin, int former_begin, int code,
                         const std::uint8_t* label);

}  // namespace jlcm
