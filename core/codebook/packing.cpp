#include "core/codebook/packing.hpp"

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/decoding_kernels.hpp"

#include <algorithm>
#include <cstring>

namespace jlcm {
namespace {

constexpr std::int64_t block_words = 16;
constexpr std::int64_t line_grain_codes = 1 << 16;  // codes a parallel chunk handles

/// Widths of the planes of a code: its powers of two, the widest first.
struct Planes {
    int count = 0;
    int width[4] = {};
    explicit Planes(int bits) {
        for (int w = 8; w >= 1; w /= 2) {
            if (bits & w) width[count++] = w;
        }
    }
};

std::int64_t plane_words(std::int64_t codes, int width) {
    return (codes * width + 31) / 32;
}

std::uint32_t load_word(const std::uint8_t* p) {
    return static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
           static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
}

void store_word(std::uint8_t* p, std::uint32_t word) {
    p[0] = static_cast<std::uint8_t>(word);
    p[1] = static_cast<std::uint8_t>(word >> 8);
    p[2] = static_cast<std::uint8_t>(word >> 16);
    p[3] = static_cast<std::uint8_t>(word >> 24);
}

/// Calls visit(first code, number of words, number of codes, byte offset) for the blocks of a plane that hold
/// codes from `from` up to `to`.
template <class Visit>
void for_blocks(std::int64_t codes, int width, std::int64_t from, std::int64_t to, Visit visit) {
    const std::int64_t words = plane_words(codes, width);
    const std::int64_t codes_per_word = 32 / width;
    const std::int64_t first_word = from / (codes_per_word * block_words) * block_words;
    for (std::int64_t word = first_word; word < words && word * codes_per_word < to; word += block_words) {
        const std::int64_t n = std::min(block_words, words - word);
        const std::int64_t first = word * codes_per_word;
        visit(first, n, std::min(n * codes_per_word, codes - first), word * 4);
    }
}

void pack_line(const std::uint8_t* codes, std::int64_t count, int bits, std::uint8_t* packed) {
    const Planes planes(bits);
    int low_bit = 0;
    for (int p = 0; p < planes.count; ++p) {
        const int width = planes.width[p];
        const std::uint32_t mask = (1U << width) - 1U;
        for_blocks(
            count, width, 0, count,
            [&](std::int64_t first, std::int64_t words, std::int64_t in_block, std::int64_t at) {
                std::uint32_t block[block_words] = {};
                for (std::int64_t begin = 0, shift = 0; begin < in_block; begin += words, shift += width) {
                    const std::int64_t n = std::min(words, in_block - begin);
                    for (std::int64_t lane = 0; lane < n; ++lane)
                        block[lane] |=
                            ((static_cast<std::uint32_t>(codes[first + begin + lane]) >> low_bit) & mask)
                            << shift;
                }
                for (std::int64_t lane = 0; lane < words; ++lane)
                    store_word(packed + at + 4 * lane, block[lane]);
            });
        packed += 4 * plane_words(count, width);
        low_bit += width;
    }
}

/// Codes [from, to) of a line of `count` codes.
void unpack_line(const std::uint8_t* packed, std::int64_t count, int bits, std::int64_t from, std::int64_t to,
                 std::uint8_t* codes) {
    const Planes planes(bits);
    int low_bit = 0;
    std::memset(codes, 0, static_cast<std::size_t>(to - from));
    for (int p = 0; p < planes.count; ++p) {
        const int width = planes.width[p];
        const std::uint32_t mask = (1U << width) - 1U;
        const std::int64_t block_codes = block_words * 32 / width;
        // Full blocks by a kernel, what is cut at the ends code by code.
        const std::int64_t first_full = (from + block_codes - 1) / block_codes;
        const std::int64_t end_full = std::max(first_full, to / block_codes);
        if (end_full > first_full)
            decoding_kernels().add_plane(width, low_bit, end_full - first_full,
                                         packed + first_full * block_words * 4,
                                         codes + (first_full * block_codes - from));
        for_blocks(
            count, width, from, to,
            [&](std::int64_t first, std::int64_t words, std::int64_t in_block, std::int64_t at) {
                if (first >= first_full * block_codes && first < end_full * block_codes) return;
                std::uint32_t block[block_words] = {};
                for (std::int64_t lane = 0; lane < words; ++lane)
                    block[lane] = load_word(packed + at + 4 * lane);
                for (std::int64_t begin = 0, shift = 0; begin < in_block; begin += words, shift += width) {
                    const std::int64_t start = first + begin;  // of `words` codes, one a lane
                    const std::int64_t lane_end = std::min({words, in_block - begin, to - start});
                    std::uint8_t* out = codes + (start - from);
                    for (std::int64_t lane = std::max<std::int64_t>(0, from - start); lane < lane_end; ++lane)
                        out[lane] = static_cast<std::uint8_t>(out[lane] |
                                                              (((block[lane] >> shift) & mask) << low_bit));
                }
            });
        packed += 4 * plane_words(count, width);
        low_bit += width;
    }
}

void check_sizes(std::size_t codes, std::size_t packed, PackedLines lines, int bits) {
    ensure(static_cast<std::int64_t>(codes) == lines.lines * lines.codes &&
               static_cast<std::int64_t>(packed) == lines.bytes(bits),
           "{} codes of {} bits and {} packed bytes for {} lines of {}", codes, bits, packed, lines.lines,
           lines.codes);
}

}  // namespace

std::int64_t packed_bytes(std::int64_t lines, std::int64_t codes, int bits) {
    ensure(bits >= 1 && bits <= 8, "codes of {} bits", bits);
    const Planes planes(bits);
    std::int64_t words = 0;
    for (int p = 0; p < planes.count; ++p) words += plane_words(codes, planes.width[p]);
    return 4 * words * lines;
}

PackedLines PackedLines::of(std::int64_t rows, std::int64_t codes, int bits) {
    const bool rows_fill_words = packed_bytes(1, codes, bits) * 8 == codes * bits;
    return rows_fill_words ? PackedLines{rows, codes} : PackedLines{1, rows * codes};
}

std::int64_t PackedLines::padding_bits(int bits) const {
    return bytes(bits) * 8 - lines * codes * bits;
}

void pack_codes(std::span<const std::uint8_t> codes, PackedLines lines, int bits,
                std::span<std::uint8_t> packed) {
    check_sizes(codes.size(), packed.size(), lines, bits);
    const std::int64_t line_bytes = packed_bytes(1, lines.codes, bits);
    const std::int64_t grain =
        std::max<std::int64_t>(1, line_grain_codes / std::max<std::int64_t>(1, lines.codes));
    parallel_for(lines.lines, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t line = begin; line < end; ++line)
            pack_line(codes.data() + line * lines.codes, lines.codes, bits,
                      packed.data() + line * line_bytes);
    });
}

void unpack_codes(std::span<const std::uint8_t> packed, PackedLines lines, int bits,
                  std::span<std::uint8_t> codes) {
    check_sizes(codes.size(), packed.size(), lines, bits);
    const std::int64_t line_bytes = packed_bytes(1, lines.codes, bits);
    const std::int64_t grain =
        std::max<std::int64_t>(1, line_grain_codes / std::max<std::int64_t>(1, lines.codes));
    parallel_for(lines.lines, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t line = begin; line < end; ++line)
            unpack_line(packed.data() + line * line_bytes, lines.codes, bits, 0, lines.codes,
                        codes.data() + line * lines.codes);
    });
}

void unpack_codes(std::span<const std::uint8_t> packed, PackedLines lines, int bits, std::int64_t first,
                  std::int64_t count, std::uint8_t* codes) {
    if (count == 0) return;
    const std::int64_t line = first / lines.codes;
    const std::int64_t from = first - line * lines.codes;
    ensure(first >= 0 && line < lines.lines && from + count <= lines.codes,
           "codes {} to {} of {} lines of {}", first, first + count, lines.lines, lines.codes);
    const std::int64_t line_bytes = packed_bytes(1, lines.codes, bits);
    unpack_line(packed.data() + line * line_bytes, lines.codes, bits, from, from + count, codes);
}

}  // namespace jlcm
