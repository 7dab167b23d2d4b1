#pragma once
// What kernels of estimators do to the codes of a segment, for isa_*.cpp only: hence in namespace JLCM_ISA.

#include <cstdint>

namespace jlcm::JLCM_ISA {

/// Replaces codes by new ones and counts the jumps: jumps[j] += codes that moved by j + 1. Nearly all are
/// jumps of one, hence the early end.
inline void count_jumps(std::int64_t n, int codewords, const std::uint8_t* next, std::uint8_t* codes,
                        std::int64_t* jumps) {
    std::int64_t moved = 0;
#pragma omp simd reduction(+ : moved)
    for (std::int64_t i = 0; i < n; ++i) moved += next[i] != codes[i] ? 1 : 0;
    for (int length = 1; length < codewords && moved > 0; ++length) {
        std::int64_t count = 0;
#pragma omp simd reduction(+ : count)
        for (std::int64_t i = 0; i < n; ++i) {
            const int difference = static_cast<int>(next[i]) - static_cast<int>(codes[i]);
            count += difference == length || difference == -length ? 1 : 0;
        }
        jumps[length - 1] += count;
        moved -= count;
    }
    for (std::int64_t i = 0; i < n; ++i) codes[i] = next[i];
}

constexpr std::int64_t chunk = 512;  ///< weights that a kernel keeps in hand at once

/// The codes of the values nearest to u; of two at equal distance the lower one. At most `chunk` weights.
inline void nearest_codes(std::int64_t n, int codewords, const float* table, const float* u,
                          std::uint8_t* codes) {
    std::int32_t count[chunk];
    for (std::int64_t i = 0; i < n; ++i) count[i] = 0;
    for (int k = 0; k + 1 < codewords; ++k) {
        const float threshold = 0.5F * (table[k] + table[k + 1]);
        for (std::int64_t i = 0; i < n; ++i) count[i] += u[i] > threshold ? 1 : 0;
    }
    for (std::int64_t i = 0; i < n; ++i) codes[i] = static_cast<std::uint8_t>(count[i]);
}

}  // namespace jlcm::JLCM_ISA
