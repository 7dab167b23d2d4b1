#pragma once
// At most so many codes of a matrix change in a step: all of them push downstream at once, each as if the
// others stayed, so that many changes together overshoot (as PV-Tuning caps them: Malinovskii et al., arXiv
// 2405.14852).

#include "core/backend/backend.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace jlcm {

/// Keeps the `most` largest of the values above 0 and sets the others to 0; of equal ones the first stay.
void keep_largest(std::span<float> values, std::int64_t most);

/// A step of a latent number per weight ([rows, cols]) whose code is that of the nearest value, with at
/// most `most` changes of codes: those whose latents lie farthest beyond their cells, in spacings. `step`
/// moves the latents, replaces the codes of the matrix that it is given, and counts jumps (jumps[j]: by j +
/// 1 codewords).
void step_capped(
    const CodedMatrix& matrix, const Tensor& latent, std::int64_t most, std::vector<std::int64_t>& jumps,
    const std::function<void(const CodedMatrix& matrix, std::vector<std::int64_t>& jumps)>& step);

}  // namespace jlcm
