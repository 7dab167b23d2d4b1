#pragma once
// ggml's types whose blocks are even grids: 32 values, each a level times the block's step, of some types plus the
// block's minimum. Step and minimum are float16.

#include "core/tensor/encoding.hpp"

#include <array>
#include <cstddef>
#include <span>

namespace jlcm {

struct AffineEncoding {
    Encoding encoding;
    int lowest;   ///< level
    int highest;  ///< level
    bool has_minimum;
};

/// The smallest first.
inline constexpr std::array affine_encodings{
    AffineEncoding{Encoding::q4_0, -8, 7, false}, AffineEncoding{Encoding::q4_1, 0, 15, true},
    AffineEncoding{Encoding::q5_0, -16, 15, false}, AffineEncoding{Encoding::q5_1, 0, 31, true},
    AffineEncoding{Encoding::q8_0, -127, 127, false}};
inline constexpr std::int64_t affine_block = 32;  ///< values

/// value = level * step + minimum
struct AffineGrid {
    float step = 0;     ///< a float16 value
    float minimum = 0;  ///< a float16 value; 0 where the type has none
};

/// One block of a type, of 32 levels that it has. `out`: block_bytes(encoding) bytes, which decode to exactly the grid's
/// values.
void write_affine_block(const AffineEncoding& type, const AffineGrid& grid, std::span<const int> levels,
                        std::byte* out);

}  // namespace jlcm
