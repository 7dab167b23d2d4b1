#pragma once
// By how much the pairs of a head turn from one position to the next.

#include "core/graph/operator.hpp"

#include <cstdint>
#include <vector>

namespace jlcm {

/// Angles per position in radians of `turned` / 2 pairs, the fastest first. `is_long`: of a text beyond the original
/// context, which counts for long_rope alone.
///
/// Su et al., "RoFormer", 2021; linear: Chen et al., "Extending context window of large language models via positional
/// interpolation", 2023; llama3: Llama 3.1's rule; yarn: Peng et al., "YaRN", 2023; long_rope: Ding et al., "LongRoPE",
/// 2024.
[[nodiscard]] std::vector<double> rotary_frequencies(std::int64_t turned, double base,
                                                     const RotaryScaling& scaling, bool is_long);

/// An input error if a number of the scaling is out of its range, or the lists do not have an entry per pair.
void check_rotary_scaling(std::int64_t turned, double base, const RotaryScaling& scaling);

}  // namespace jlcm
