#pragma once
// Codes of 1..8 bits as bytes.
//
// The packed layout, made for look-ups in registers:
// - A code of `bits` bits is cut into planes whose widths are powers of two, the widest first and holding the
//   lowest bits: 1, 2, 4, 8 are one plane; 3 = 2 + 1, 5 = 4 + 1, 6 = 4 + 2, 7 = 4 + 2 + 1. The planes of a
//   line of codes follow each other.
// - A plane of width w is a sequence of little-endian 32-bit words of 32 / w codes each. 16 words (64 bytes:
//   one AVX-512 register, two of AVX2, four of NEON) form a block of 512 / w codes: code t * 16 + l of a
//   block lies in word l at bit t * w. Hence a shift right by t * w leaves 16 consecutive codes in the low
//   bits of 16 lanes, which is what `vpermilps` (K = 4), `vpermps` (K = 8, 16) take as an index without a
//   mask.
// - The last block of a plane has only as many words n as are needed; its code t * n + l lies in word l at
//   bit t * w.
// - A line is one row of the mapping if the rows fill whole words in every plane (the usual case: 32 divides
//   the codes of a row); otherwise all codes of a matrix are one line, so that short rows cost no padding.

#include <cstdint>
#include <span>

namespace jlcm {

/// Bytes of `lines` lines of `codes` codes each.
[[nodiscard]] std::int64_t packed_bytes(std::int64_t lines, std::int64_t codes, int bits);

/// How a mapping of `rows` rows of `codes` codes is cut into lines.
struct PackedLines {
    std::int64_t lines;
    std::int64_t codes;  ///< of one line
    [[nodiscard]] static PackedLines of(std::int64_t rows, std::int64_t codes, int bits);
    [[nodiscard]] std::int64_t bytes(int bits) const { return packed_bytes(lines, codes, bits); }
    /// Unused bits at the ends of the planes.
    [[nodiscard]] std::int64_t padding_bits(int bits) const;
};

/// Packs `lines.lines * lines.codes` codes (each below 2^bits) into `packed` (exactly lines.bytes(bits)
/// bytes). Unused bits are zero.
void pack_codes(std::span<const std::uint8_t> codes, PackedLines lines, int bits,
                std::span<std::uint8_t> packed);

/// The inverse of pack_codes. Every bit pattern is valid.
void unpack_codes(std::span<const std::uint8_t> packed, PackedLines lines, int bits,
                  std::span<std::uint8_t> codes);

/// The codes [first, first + count) of all the lines' codes, which must lie in one line. One thread.
void unpack_codes(std::span<const std::uint8_t> packed, PackedLines lines, int bits, std::int64_t first,
                  std::int64_t count, std::uint8_t* codes);

}  // namespace jlcm
