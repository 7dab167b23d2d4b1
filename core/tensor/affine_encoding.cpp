#include "core/tensor/affine_encoding.hpp"

#include "core/base/error.hpp"
#include "core/base/half.hpp"

#include <cstring>

namespace jlcm {
namespace {

/// Puts a number where a block is written next.
template <typename T>
void put(T value, std::byte*& out) {
    std::memcpy(out, &value, sizeof value);
    out += sizeof value;
}

}  // namespace

void write_affine_block(const AffineEncoding& type, const AffineGrid& grid, std::span<const int> levels,
                        std::byte* out) {
    ensure(std::ssize(levels) == affine_block, "a block of {} levels", levels.size());
    put(f16_from_float(grid.step), out);
    if (type.has_minimum) put(f16_from_float(grid.minimum), out);
    if (type.encoding == Encoding::q8_0) {
        for (const int level : levels) put(static_cast<std::int8_t>(level), out);
        return;
    }
    // Levels from 0 on; the low four bits of levels i and i + 16 share a byte, fifth bits lie in front of them.
    const auto bits = [&](std::size_t i) { return static_cast<std::uint32_t>(levels[i] - type.lowest); };
    if (type.highest - type.lowest > 15) {
        std::uint32_t fifth = 0;
        for (std::size_t i = 0; i < affine_block; ++i) fifth |= (bits(i) >> 4U) << i;
        put(fifth, out);
    }
    for (std::size_t i = 0; i < affine_block / 2; ++i)
        put(static_cast<std::uint8_t>((bits(i) & 15U) | ((bits(i + affine_block / 2) & 15U) << 4U)), out);
}

}  // namespace jlcm
