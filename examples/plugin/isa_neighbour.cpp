// Compiled once for each instruction set (jlcm_add_kernels). No templates or inline functions of the standard
// library here: the linker might use the copy made for the richest instruction set everywhere.

#include "neighbour_kernels.hpp"

namespace neighbour::JLCM_ISA {
namespace {

/// The codeword next to `code` against the gradient; `code` itself at the end of the codebook.
[[gnu::always_inline]] inline int next_code(int code, float gradient, int codewords) {
    const int next = gradient > 0.0F ? code - 1 : code + 1;
    return next < 0 || next >= codewords ? code : next;
}

[[gnu::always_inline]] inline float gain_of(int code, int next, float gradient, const float* table) {
    return __builtin_fabsf(gradient * (table[next] - table[code]));
}

double gain(std::int64_t n, int codewords, const float* table, const float* gradient,
            const std::uint8_t* codes) {
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i)
        total += static_cast<double>(
            gain_of(codes[i], next_code(codes[i], gradient[i], codewords), gradient[i], table));
    return total;
}

std::int64_t move(std::int64_t n, int codewords, const float* table, const float* gradient, float least,
                  std::uint8_t* codes) {
    std::int64_t moved = 0;
#pragma omp simd reduction(+ : moved)
    for (std::int64_t i = 0; i < n; ++i) {
        const int next = next_code(codes[i], gradient[i], codewords);
        const bool moves = gain_of(codes[i], next, gradient[i], table) > least;
        codes[i] = static_cast<std::uint8_t>(moves ? next : codes[i]);
        moved += moves ? 1 : 0;
    }
    return moved;
}

}  // namespace

extern const Kernels table;
const Kernels table{gain, move};

}  // namespace neighbour::JLCM_ISA
