// Products with packed codes. A block of 64 bytes of a row's plane is shifted, looked up and multiplied with
// the activations of that shift, which lie in the same order.
#include "core/backend/cpu/byte_vectors.hpp"
#include "core/backend/cpu/packed_kernels.hpp"
#include "core/backend/cpu/quantise_block.hpp"

namespace jlcm::JLCM_ISA {
namespace {

constexpr int lanes = 16;
constexpr int block_bytes = 64;
/// Codes of a row may end in up to two blocks that are not read in place (3 bits).
constexpr int copied_blocks = 2;
constexpr int ahead = 2;               ///< tiles of rows from what is multiplied to what is fetched
constexpr int second_level_cache = 2;  ///< __builtin_prefetch's locality

/// The width of the plane that holds the lowest bits.
constexpr int width_of(int bits) {
    return bits == 3 ? 2 : bits;
}

void quantise(int width, const float* x, std::int64_t cols, std::int8_t* values,
              std::int32_t* minus_lane_sums, float* steps, float* sums) {
    const int codes_per_word = 32 / width;
    const int shifts = 8 / width;
    const std::int64_t block_cols = lanes * codes_per_word;
    alignas(64) float padded[512] = {};  // the last block, if it is short
    for (std::int64_t first = 0; first < cols; first += block_cols) {
        const std::int64_t count = cols - first < block_cols ? cols - first : block_cols;
        const std::int64_t words = count / codes_per_word;
        const float* block = x + first;
        if (count < block_cols) {
            for (std::int64_t i = 0; i < count; ++i) padded[i] = block[i];
            block = padded;
        }
        alignas(64) std::int32_t integers[512 + lanes];
        const QuantisedBlock result = quantise_block(block, block_cols, integers);
        for (int lane = 0; lane < lanes; ++lane) integers[block_cols + lane] = 0;
        *steps++ = result.step;
        *sums++ = result.sum;
        alignas(64) std::int32_t sum[lanes] = {};
        for (int s = 0; s < shifts; ++s) {
            // Lane l of byte b belongs to column (shifts b + s) words + l.
            alignas(64) std::uint32_t packed[lanes] = {};
            for (int b = 0; b < 4; ++b) {
                const std::int32_t* from = integers + (shifts * b + s) * words;
                for (int lane = 0; lane < lanes; ++lane) {
                    const std::int32_t value = lane < words ? from[lane] : 0;
                    sum[lane] -= value;
                    packed[lane] |= (static_cast<std::uint32_t>(value) & 0xffU) << (8 * b);
                }
            }
            __builtin_memcpy(values, packed, block_bytes);
            values += block_bytes;
        }
        __builtin_memcpy(minus_lane_sums, sum, sizeof sum);
        minus_lane_sums += lanes;
    }
}

/// Where the blocks of a row lie, and those at its end that do not lie there as a product reads them.
struct RowEnd {
    std::int64_t in_place;  ///< blocks that are read where they lie
    std::int64_t blocks;
    std::int64_t high_plane;  ///< bytes from the row's begin to its plane of the highest bit (3 bits)
};

template <int bits>
RowEnd row_end(std::int64_t cols) {
    constexpr int width = width_of(bits);
    const std::int64_t words = cols * width / 32;
    // At 3 bits two blocks share one of the other plane.
    const std::int64_t in_place = bits == 3 ? cols / 512 * 2 : words / lanes;
    return {in_place, (words + lanes - 1) / lanes, 4 * words};
}

struct alignas(64) CopiedBlocks {
    std::uint8_t low[copied_blocks][block_bytes];
    std::uint8_t high[copied_blocks][block_bytes];  ///< the bit of shift s is bit 2 s of each byte
};

/// The last up to 480 bits of the plane of highest bits, as the blocks of the other plane have their codes.
void copy_high_bits(const std::uint8_t* plane, std::int64_t count, CopiedBlocks& copy) {
    const std::int64_t words = count / 32;
    std::uint32_t word[lanes] = {};
    __builtin_memcpy(word, plane, static_cast<std::size_t>(4 * words));
    std::uint32_t high[copied_blocks][lanes] = {};
    if (count <= 256) {
        // Code t words + l lies at bit t of word l; the block has twice as many words: its code 2 t words + l
        // lies at bit 2 t, and 2 t words + words + l one bit further.
        for (std::int64_t l = 0; l < words; ++l) {
            high[0][l] = word[l];
            high[0][words + l] = word[l] >> 1;
        }
    } else {
        // By way of the bits in the order of their columns. What is written behind `words` is mended by the
        // next t.
        std::uint8_t in_order[512 + 2 * lanes] = {};
        for (int t = 0; t < 32; ++t)
            for (int l = 0; l < lanes; ++l)
                in_order[t * words + l] = static_cast<std::uint8_t>((word[l] >> t) & 1U);
        const std::int64_t last = (count - 256) / 16;  // words of the last block
        for (int t = 0; t < 16; ++t) {
            const int bit = 8 * (t / 4) + 2 * (t % 4);
            for (int l = 0; l < lanes; ++l) {
                high[0][l] |= static_cast<std::uint32_t>(in_order[16 * t + l]) << bit;
                high[1][l] |= static_cast<std::uint32_t>(in_order[256 + last * t + l]) << bit;
            }
        }
    }
    __builtin_memcpy(copy.high, high, sizeof high);
}

template <int bits>
void copy_end(const std::uint8_t* row, const RowEnd& end, std::int64_t cols, CopiedBlocks& copy) {
    const std::int64_t copied = end.in_place * block_bytes;
    const std::int64_t size = cols * width_of(bits) / 8 - copied;
    __builtin_memset(copy.low, 0, sizeof copy.low);
    __builtin_memcpy(copy.low, row + copied, static_cast<std::size_t>(size));
    if constexpr (bits == 3)
        copy_high_bits(row + end.high_plane + end.in_place / 2 * block_bytes, cols % 512, copy);
}

/// Which bits of the other plane a block of 3-bit codes has.
enum class High { first_half, second_half, copied };

template <int bits, int shift, High high>
JLCM_INLINE Bytes index(Bytes low, [[maybe_unused]] Bytes high_bits) {
    const Bytes moved = shifted<width_of(bits) * shift>(low);
    if constexpr (bits == 3) {
        return joined(moved, shifted<(high == High::copied ? 2 * shift : shift) - 2>(high_bits));
    } else {
        return moved;
    }
}

/// `rows` rows and `tokens` tokens at once: the codes are decoded once for all tokens, and the activations
/// loaded once for all rows.
template <int bits, int rows, int tokens>
struct Tile {
    static constexpr int shifts = 8 / width_of(bits);

    Bytes levels[rows];
    Floats sums[rows][tokens][parts];

    template <int s, High high>
    JLCM_INLINE void add_shift(const Bytes (&low)[rows], const Bytes (&high_bits)[rows],
                               const std::int8_t* (&x)[tokens], int part, Integers (&acc)[rows][tokens]) {
        Factor factors[tokens];
#pragma GCC unroll 4
        for (int t = 0; t < tokens; ++t) factors[t] = factor(x[t] + s * block_bytes + part * vector_bytes);
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r) {
            const Bytes looked_up = look_up(levels[r], index<bits, s, high>(low[r], high_bits[r]));
#pragma GCC unroll 4
            for (int t = 0; t < tokens; ++t) acc[r][t] = dot_levels(acc[r][t], looked_up, factors[t]);
        }
        if constexpr (s + 1 < shifts) add_shift<s + 1, high>(low, high_bits, x, part, acc);
    }

    /// low[r], high[r]: where the block lies.
    template <High high>
    JLCM_INLINE void add_block(const std::uint8_t* (&low)[rows], const std::uint8_t* (&high_plane)[rows],
                               const PackedActivations& x, std::int64_t token, std::int64_t block) {
        constexpr std::int64_t block_cols = shifts * block_bytes;
        const std::int8_t* values[tokens];
#pragma GCC unroll 4
        for (int t = 0; t < tokens; ++t) values[t] = x.values + ((token + t) * x.blocks + block) * block_cols;
#pragma GCC unroll 4
        for (int part = 0; part < parts; ++part) {
            Bytes codes[rows];
            Bytes high_bits[rows] = {};
#pragma GCC unroll 4
            for (int r = 0; r < rows; ++r) {
                codes[r] = load(low[r] + part * vector_bytes);
                if constexpr (bits == 3) {
                    high_bits[r] = load(high_plane[r] + part * vector_bytes);
                    if constexpr (high == High::first_half) high_bits[r] = spread<0>(high_bits[r]);
                    if constexpr (high == High::second_half) high_bits[r] = spread<1>(high_bits[r]);
                }
            }
            Integers acc[rows][tokens];
#pragma GCC unroll 4
            for (int t = 0; t < tokens; ++t) {
                const Integers begin = less_bias<dot_bias_bits>(
                    x.minus_lane_sums + ((token + t) * x.blocks + block) * lanes + part * part_lanes);
#pragma GCC unroll 4
                for (int r = 0; r < rows; ++r) acc[r][t] = begin;
            }
            add_shift<0, high>(codes, high_bits, values, part, acc);
#pragma GCC unroll 4
            for (int t = 0; t < tokens; ++t) {
                const Floats step = all(x.steps[(token + t) * x.blocks + block]);
#pragma GCC unroll 4
                for (int r = 0; r < rows; ++r)
                    sums[r][t][part] = sums[r][t][part] + to_floats(acc[r][t]) * step;
            }
        }
    }

    JLCM_INLINE void clear() {
        for (auto& row : sums)
            for (auto& token : row)
                for (auto& part : token) part = no_floats();
    }
};

/// Rows are read side by side, which hides from the processor that they follow each other. So while a block of
/// each is multiplied, as many lines of memory are asked for, in order.
template <int bits, int rows>
JLCM_INLINE void fetch_ahead(const std::uint8_t* later_rows, std::int64_t block) {
    constexpr int lines = bits == 3 ? 3 * rows / 2 : rows;
#pragma GCC unroll 8
    for (int i = 0; i < lines; ++i)
        __builtin_prefetch(later_rows + (block * lines + i) * block_bytes, 0, second_level_cache);
}

template <int bits, int rows, int tokens>
void rows_product(const PackedCodes& w, const PackedActivations& x, const RowEnd& end, std::int64_t row,
                  const CopiedBlocks* copies, std::int64_t token) {
    Tile<bits, rows, tokens> tile;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled below, by row
    Floats totals[rows][tokens][parts];
    float offsets[rows][tokens] = {};
    const std::uint8_t* begin[rows];
    std::int64_t first_group[rows];
    for (int r = 0; r < rows; ++r) {
        begin[r] = w.codes + (row + r) * w.row_bytes;
        const std::int64_t group =
            w.row_groups != nullptr ? w.row_groups[row + r] : (row + r) * w.row_group_step;
        first_group[r] = group * w.column_groups;
        for (auto& token_totals : totals[r])
            for (auto& part : token_totals) part = no_floats();
    }
    for (std::int64_t g = 0; g < w.column_groups; ++g) {
        const std::int64_t first = g * w.group_blocks;
        const std::int64_t last = first + w.group_blocks < end.blocks ? first + w.group_blocks : end.blocks;
        const std::int64_t in_place = last < end.in_place ? last : end.in_place;
        for (int r = 0; r < rows; ++r)
            tile.levels[r] = table<bits>(w.levels + (first_group[r] + g) * w.level_step);
        tile.clear();
        std::int64_t block = first;
        for (; block < in_place; ++block) {
            const std::uint8_t* low[rows];
            const std::uint8_t* high[rows];
#pragma GCC unroll 4
            for (int r = 0; r < rows; ++r) {
                low[r] = begin[r] + block * block_bytes;
                high[r] = begin[r] + end.high_plane + block / 2 * block_bytes;
            }
            if constexpr (rows > 1) fetch_ahead<bits, rows>(begin[0] + ahead * rows * w.row_bytes, block);
            if (bits == 3 && block % 2 != 0) {
                tile.template add_block<High::second_half>(low, high, x, token, block);
            } else {
                tile.template add_block<High::first_half>(low, high, x, token, block);
            }
        }
        for (; block < last; ++block) {
            const std::uint8_t* low[rows];
            const std::uint8_t* high[rows];
            for (int r = 0; r < rows; ++r) {
                low[r] = copies[r].low[block - end.in_place];
                high[r] = copies[r].high[block - end.in_place];
            }
            tile.template add_block<High::copied>(low, high, x, token, block);
        }
        for (int r = 0; r < rows; ++r) {
            const Floats scale = all(w.scales[first_group[r] + g]);
            const float offset = w.offsets[first_group[r] + g];
            for (int t = 0; t < tokens; ++t) {
                for (int part = 0; part < parts; ++part)
                    totals[r][t][part] = totals[r][t][part] + scale * tile.sums[r][t][part];
                offsets[r][t] += offset * x.group_sums[(token + t) * w.column_groups + g];
            }
        }
    }
    for (int r = 0; r < rows; ++r) {
        const std::int64_t out = w.row_order != nullptr ? w.row_order[row + r] : row + r;
        for (int t = 0; t < tokens; ++t)
            w.y[(token + t) * w.y_step + out] = tree_sum(totals[r][t]) + offsets[r][t];
    }
}

template <int bits, int rows>
void tokens_product(const PackedCodes& w, const PackedActivations& x, const RowEnd& end, std::int64_t row) {
    CopiedBlocks copies[rows];
    if (end.in_place < end.blocks)
        for (int r = 0; r < rows; ++r)
            copy_end<bits>(w.codes + (row + r) * w.row_bytes, end, w.cols, copies[r]);
    std::int64_t token = 0;
    for (; token + 4 <= x.tokens; token += 4) {
        for (int r = 0; r < rows; r += 2)
            rows_product<bits, (rows < 2 ? 1 : 2), 4>(w, x, end, row + r, copies + r, token);
    }
    if (token + 2 <= x.tokens) {
        for (int r = 0; r < rows; r += 2)
            rows_product<bits, (rows < 2 ? 1 : 2), 2>(w, x, end, row + r, copies + r, token);
        token += 2;
    }
    if (token < x.tokens) rows_product<bits, rows, 1>(w, x, end, row, copies, token);
}

template <int bits>
void codes_product(const PackedCodes& w, const PackedActivations& x, std::int64_t begin, std::int64_t last) {
    constexpr int rows = vector_bytes == 64 ? 4 : 2;
    const RowEnd end = row_end<bits>(w.cols);
    std::int64_t row = begin;
    for (; row + rows <= last; row += rows) tokens_product<bits, rows>(w, x, end, row);
    for (; row < last; ++row) tokens_product<bits, 1>(w, x, end, row);
}

void product(const PackedCodes& w, const PackedActivations& x, std::int64_t begin, std::int64_t end) {
    switch (w.bits) {
        case 1:
            return codes_product<1>(w, x, begin, end);
        case 2:
            return codes_product<2>(w, x, begin, end);
        case 3:
            return codes_product<3>(w, x, begin, end);
        default:
            return codes_product<4>(w, x, begin, end);
    }
}

constexpr const char* name =
#if defined(__AVX512VNNI__)
    "AVX-512 VNNI";
#elif defined(__AVX512BW__)
    "AVX-512";
#elif defined(__AVX2__)
    "AVX2";
#elif defined(__SSSE3__)
    "SSE4.2";
#elif defined(__ARM_FEATURE_DOTPROD)
    "NEON with dot product";
#else
    "NEON";
#endif

}  // namespace

extern const PackedKernels packed;
const PackedKernels packed{name, quantise, product};

}  // namespace jlcm::JLCM_ISA
