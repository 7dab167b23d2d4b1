#pragma once
// The kernels of the estimator, as each instruction set has them. They stand in a namespace of the plugin's
// own, so that no other plugin's have the same name.

#include "core/backend/cpu/isa.hpp"

#include <cstdint>

namespace neighbour {

/// Both take n weights that read one table of K values (ascending).
struct Kernels {
    /// The sum of what the weights gain by moving to the neighbouring codeword against their gradient; 0 for
    /// those that have none.
    double (*gain)(std::int64_t n, int codewords, const float* table, const float* gradient,
                   const std::uint8_t* codes);
    /// Moves the weights that gain more than `least`; returns how many.
    std::int64_t (*move)(std::int64_t n, int codewords, const float* table, const float* gradient,
                         float least, std::uint8_t* codes);
};

[[nodiscard]] const Kernels& kernels();

}  // namespace neighbour
