// Products with the blocks of GGUF files (ggml-common.h): 32 columns with a scale and maybe a minimum, two of
// them at a time.
#include "core/backend/cpu/byte_vectors.hpp"
#include "core/backend/cpu/packed_kernels.hpp"
#include "core/backend/cpu/quantise_block.hpp"

namespace jlcm::JLCM_ISA {
namespace {

constexpr int block_cols = 32;
constexpr int block_lanes = 8;

void quantise(const float* x, std::int64_t cols, std::int8_t* values, std::int32_t* minus_lane_sums,
              float* steps, float* sums) {
    const std::int64_t blocks = cols / block_cols;
    for (std::int64_t block = 0; block < blocks; ++block) {
        std::int32_t integers[block_cols];
        const QuantisedBlock result = quantise_block(x + block * block_cols, block_cols, integers);
        steps[block] = result.step;
        sums[block] = result.sum;
        for (int i = 0; i < block_cols; ++i)
            values[block * block_cols + i] = static_cast<std::int8_t>(integers[i]);
        for (int lane = 0; lane < block_lanes; ++lane)
            minus_lane_sums[block * block_lanes + lane] = -integers[4 * lane] - integers[4 * lane + 1] -
                                                          integers[4 * lane + 2] - integers[4 * lane + 3];
    }
    if (blocks % 2 != 0) {
        __builtin_memset(values + blocks * block_cols, 0, block_cols);
        __builtin_memset(minus_lane_sums + blocks * block_lanes, 0, block_lanes * sizeof(std::int32_t));
        steps[blocks] = 0;
        sums[blocks] = 0;
    }
}

/// Of two blocks: scales, minimums, steps.
using Two = float __attribute__((vector_size(8)));
JLCM_INLINE Two load_two(const float* p) {
    Two x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
}

/// IEEE binary16 to float, exact (as core/base/half.hpp, whose inline function must not be used here).
JLCM_INLINE float half_at(const std::uint8_t* p) {
    std::uint16_t bits = 0;
    __builtin_memcpy(&bits, p, sizeof bits);
#if defined(__F16C__)
    return _cvtsh_ss(bits);
#elif defined(__aarch64__)
    return static_cast<float>(__builtin_bit_cast(__fp16, bits));
#else
    const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fffU) << 13;
    std::uint32_t result = __builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, magnitude) * 0x1p112F);
    result |= magnitude >= 0x0f800000U ? 0x7f800000U : 0U;
    return __builtin_bit_cast(float, result | static_cast<std::uint32_t>(bits & 0x8000U) << 16);
#endif
}

// Loads for two blocks, as four times 16 bytes; the part of them that is one vector.

/// 32 bytes for each block.
template <int part>
JLCM_INLINE Bytes load_pair(const std::uint8_t* first, const std::uint8_t* second) {
#if defined(__AVX512BW__)
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(second));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
#elif defined(__AVX2__)
    return load(part == 0 ? first : second);
#else
    return load((part < 2 ? first : second) + part % 2 * 16);
#endif
}
/// 16 bytes for each block, twice.
template <int part>
JLCM_INLINE Bytes load_twice(const std::uint8_t* first, const std::uint8_t* second) {
#if defined(__AVX512BW__) || defined(__AVX2__)
    const auto twice = [](const std::uint8_t* p) {
        return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    };
#if defined(__AVX512BW__)
    return _mm512_inserti64x4(_mm512_castsi256_si512(twice(first)), twice(second), 1);
#else
    return twice(part == 0 ? first : second);
#endif
#else
    return load(part < 2 ? first : second);
#endif
}
/// The same 32 bytes for both blocks.
template <int part>
JLCM_INLINE Bytes load_shared(const std::uint8_t* both) {
#if defined(__AVX512BW__)
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(both)));
#else
    return load_pair<part>(both, both);
#endif
}

/// Each 16 bytes shifted to the right by its own number of bits, or to the left by a negative one.
template <int part, int a, int b, int c, int d>
JLCM_INLINE Bytes shift_each(Bytes v) {
#if defined(__AVX512BW__)
    if constexpr (a == b && b == c && c == d) {
        return shifted<a>(v);
    } else {
        constexpr int up = a < 0 || b < 0 || c < 0 || d < 0 ? 4 : 0;  // no shift goes both ways
        const __m512i count =
            _mm512_setr_epi32(a + up, a + up, a + up, a + up, b + up, b + up, b + up, b + up, c + up, c + up,
                              c + up, c + up, d + up, d + up, d + up, d + up);
        return _mm512_srlv_epi32(up == 0 ? v : _mm512_slli_epi32(v, up), count);
    }
#elif defined(__AVX2__)
    constexpr int first = part == 0 ? a : c;
    constexpr int second = part == 0 ? b : d;
    if constexpr (first == second) {
        return shifted<first>(v);
    } else {
        constexpr int up = first < 0 || second < 0 ? 4 : 0;
        const __m256i count = _mm256_setr_epi32(first + up, first + up, first + up, first + up, second + up,
                                                second + up, second + up, second + up);
        return _mm256_srlv_epi32(up == 0 ? v : _mm256_slli_epi32(v, up), count);
    }
#else
    constexpr int bits[4] = {a, b, c, d};
    return shifted<bits[part]>(v);
#endif
}

// The formats. A structure of a file holds one block or eight; two blocks or a structure of eight are taken at
// once. Their integers are from 0 to 63 and stand for 2^bias_bits less, or are any signed bytes. A scale
// belongs to a block or to each half of one.

/// What formats of one block to a structure have in common: its scale, a half, comes first.
struct SingleBlocks {
    static constexpr int structure_blocks = 1;
    static constexpr int block_scales = 1;
    JLCM_INLINE static Two scales(const std::uint8_t* first, const std::uint8_t* second) {
        return Two{half_at(first), half_at(second)};
    }
};

struct Q8_0 : SingleBlocks {
    static constexpr int bytes = 34;
    static constexpr int bias_bits = dot_bias_bits;
    static constexpr bool signed_bytes = true;
    static constexpr bool has_minimum = false;
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* first, const std::uint8_t* second) {
        return load_pair<part>(first + 2, second + 2);
    }
};

/// The nibbles of 16 bytes for each of two blocks: the lower ones are the first 16 columns.
template <int part>
JLCM_INLINE Bytes nibbles(const std::uint8_t* first, const std::uint8_t* second) {
    const Bytes both = load_twice<part>(first, second);
    return bits_and(shift_each<part, 0, 4, 0, 4>(both), all_bytes(15));
}

struct Q4_0 : SingleBlocks {
    static constexpr int bytes = 18;
    static constexpr int bias_bits = 3;
    static constexpr bool signed_bytes = false;
    static constexpr bool has_minimum = false;
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* first, const std::uint8_t* second) {
        return nibbles<part>(first + 2, second + 2);
    }
};

struct Q4_1 : SingleBlocks {
    static constexpr int bytes = 20;
    static constexpr int bias_bits = 0;
    static constexpr bool signed_bytes = false;
    static constexpr bool has_minimum = true;
    JLCM_INLINE static Two minimums(const std::uint8_t* first, const std::uint8_t* second) {
        return Two{half_at(first + 2), half_at(second + 2)};
    }
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* first, const std::uint8_t* second) {
        return nibbles<part>(first + 4, second + 4);
    }
};

/// What Q4_K and Q5_K have in common: eight scales and minimums of 6 bits each in 12 bytes (get_scale_min_k4).
struct MinimumBlocks {
    static constexpr int structure_blocks = 8;
    static constexpr int block_scales = 1;
    static constexpr int bias_bits = 0;
    static constexpr bool signed_bytes = false;
    static constexpr bool has_minimum = true;
    JLCM_INLINE static void scales(const std::uint8_t* structure, float* scales, float* minimums) {
        std::uint32_t packed[3];
        __builtin_memcpy(packed, structure + 4, sizeof packed);
        // The first four lie in the low bits of a word, the last four in its high bits and in nibbles of the third.
        const auto eight = [](std::uint32_t word, std::uint32_t nibbles) {
            const std::uint32_t last = (nibbles & 0x0f0f0f0fU) | ((word >> 6) & 0x03030303U) << 4;
            return (word & 0x3f3f3f3fU) | static_cast<std::uint64_t>(last) << 32;
        };
        const std::uint64_t words[2] = {eight(packed[0], packed[2]), eight(packed[1], packed[2] >> 4)};
        std::uint8_t integers[16];
        __builtin_memcpy(integers, words, sizeof integers);
        const float scale = half_at(structure);
        const float minimum = -half_at(structure + 2);
        for (int i = 0; i < 8; ++i) {
            scales[i] = scale * static_cast<float>(integers[i]);
            minimums[i] = minimum * static_cast<float>(integers[8 + i]);
        }
    }
};

/// The low four bits of a pair of blocks in a structure, from 32 bytes.
template <int part>
JLCM_INLINE Bytes low_nibbles(const std::uint8_t* bytes) {
    const Bytes both = load_shared<part>(bytes);
    return bits_and(shift_each<part, 0, 0, 4, 4>(both), all_bytes(15));
}

struct Q4_K : MinimumBlocks {
    static constexpr int bytes = 144;
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* structure, const std::uint8_t* /*second*/) {
        return low_nibbles<part>(structure + 16 + 32 * pair);
    }
};

struct Q5_K : MinimumBlocks {
    static constexpr int bytes = 176;
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* structure, const std::uint8_t* /*second*/) {
        // Block j has its fifth bits at bit j of 32 bytes.
        constexpr int down = 2 * pair - 4;
        const Bytes fifth = load_shared<part>(structure + 16);
        const Bytes high = bits_and(shift_each<part, down, down, down + 1, down + 1>(fifth), all_bytes(16));
        return bits_or(low_nibbles<part>(structure + 48 + 32 * pair), high);
    }
};

struct Q6_K {
    static constexpr int bytes = 210;
    static constexpr int structure_blocks = 8;
    static constexpr int block_scales = 2;
    static constexpr int bias_bits = 5;
    static constexpr bool signed_bytes = false;
    static constexpr bool has_minimum = false;
    JLCM_INLINE static void scales(const std::uint8_t* structure, float* scales, float* /*minimums*/) {
        std::int8_t integers[16];
        __builtin_memcpy(integers, structure + 192, sizeof integers);
        const float scale = half_at(structure + 208);
        for (int i = 0; i < 16; ++i) scales[i] = scale * static_cast<float>(integers[i]);
    }
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* structure, const std::uint8_t* /*second*/) {
        // 128 columns: blocks 0 and 1 in the low four bits of 64 bytes, 2 and 3 in the high ones; of 32 bytes
        // two bits each.
        constexpr int half = pair / 2;
        constexpr int nibble = 4 * (pair % 2);
        const std::uint8_t* low = structure + 64 * half;
        const Bytes four = load_pair<part>(low, low + 32);
        const Bytes two = load_shared<part>(structure + 128 + 32 * half);
        constexpr int down = nibble - 4;
        return bits_or(bits_and(shifted<nibble>(four), all_bytes(15)),
                       bits_and(shift_each<part, down, down, down + 2, down + 2>(two), all_bytes(48)));
    }
};

/// The factors of two blocks for the lanes of a part: one for each block, or one for each half.
template <int block_scales, int part>
JLCM_INLINE Floats factors_of_lanes(const float* factors) {
#if defined(__AVX512BW__)
    if constexpr (block_scales == 1) {
        long long bits = 0;
        __builtin_memcpy(&bits, factors, sizeof bits);
        const __m512 two = _mm512_castsi512_ps(_mm512_set1_epi64(bits));
        return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1), two);
    } else {
        const __m512 four = _mm512_broadcast_f32x4(_mm_loadu_ps(factors));
        return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), four);
    }
#elif defined(__AVX2__)
    if constexpr (block_scales == 1) return all(factors[part]);
    return _mm256_set_m128(_mm_set1_ps(factors[2 * part + 1]), _mm_set1_ps(factors[2 * part]));
#else
    return all(factors[part * block_scales / 2]);
#endif
}

/// The products of one row with some tokens.
template <class Format, int tokens>
struct Row {
    const std::int8_t* values[tokens];
    const std::int32_t* minus_lane_sums[tokens];
    const float* steps[tokens];
    const float* block_sums[tokens];
    Floats sums[tokens][parts];
    Two minimums[tokens];  ///< of even and of odd blocks

    Row(const PackedActivations& x, std::int64_t token) {
        for (int t = 0; t < tokens; ++t) {
            const std::int64_t at = (token + t) * x.blocks;
            values[t] = x.values + at * block_cols;
            minus_lane_sums[t] = x.minus_lane_sums + at * block_lanes;
            steps[t] = x.steps + at;
            block_sums[t] = x.sums + at;
            for (auto& part : sums[t]) part = no_floats();
            minimums[t] = Two{0, 0};
        }
    }

    /// `factors`: of the pair's blocks or halves, for each token.
    template <int pair, int part>
    JLCM_INLINE void add_pair(const std::uint8_t* first, const std::uint8_t* second,
                              const float* const (&factors)[tokens], std::int64_t block) {
        const Bytes left = Format::template integers<pair, part>(first, second);
#pragma GCC unroll 4
        for (int t = 0; t < tokens; ++t) {
            const Factor right = factor(values[t] + block * block_cols + part * vector_bytes);
            const Integers begin =
                less_bias<Format::bias_bits>(minus_lane_sums[t] + block * block_lanes + part * part_lanes);
            Integers sum;
            if constexpr (Format::signed_bytes) {
                sum = dot_signed(begin, left, right);
            } else {
                sum = dot_small(begin, left, right);
            }
            sums[t][part] =
                sums[t][part] + to_floats(sum) * factors_of_lanes<Format::block_scales, part>(factors[t]);
        }
        if constexpr (part + 1 < parts) add_pair<pair, part + 1>(first, second, factors, block);
    }

    /// Two blocks, each a structure of its own.
    JLCM_INLINE void add_structures(const std::uint8_t* first, const std::uint8_t* second,
                                    std::int64_t block) {
        const Two scales = Format::scales(first, second);
        Two scaled[tokens];
        const float* factors[tokens];
#pragma GCC unroll 4
        for (int t = 0; t < tokens; ++t) {
            scaled[t] = scales * load_two(steps[t] + block);
            factors[t] = reinterpret_cast<const float*>(&scaled[t]);
        }
        if constexpr (Format::has_minimum) {
            const Two minimum = Format::minimums(first, second);
#pragma GCC unroll 4
            for (int t = 0; t < tokens; ++t)
                minimums[t] = minimums[t] + minimum * load_two(block_sums[t] + block);
        }
        add_pair<0, 0>(first, second, factors, block);
    }

    template <int pair>
    JLCM_INLINE void add_pairs(const std::uint8_t* structure,
                               const float (&scaled)[tokens][8 * Format::block_scales], std::int64_t block) {
        const float* factors[tokens];
#pragma GCC unroll 4
        for (int t = 0; t < tokens; ++t) factors[t] = scaled[t] + 2 * pair * Format::block_scales;
        add_pair<pair, 0>(structure, structure, factors, block + 2 * pair);
        if constexpr (pair < 3) add_pairs<pair + 1>(structure, scaled, block);
    }

    /// A structure of eight blocks.
    JLCM_INLINE void add_structure(const std::uint8_t* structure, std::int64_t block) {
        constexpr int scales = 8 * Format::block_scales;
        alignas(64) float scale[scales];
        alignas(64) float minimum[8];
        Format::scales(structure, scale, minimum);
        alignas(64) float scaled[tokens][scales];
#pragma GCC unroll 4
        for (int t = 0; t < tokens; ++t) {
            for (int i = 0; i < 8; ++i)
                for (int half = 0; half < Format::block_scales; ++half) {
                    const int at = Format::block_scales * i + half;
                    scaled[t][at] = scale[at] * steps[t][block + i];
                }
            if constexpr (Format::has_minimum)
                for (int i = 0; i < 8; i += 2)
                    minimums[t] = minimums[t] + load_two(minimum + i) * load_two(block_sums[t] + block + i);
        }
        add_pairs<0>(structure, scaled, block);
    }
};

template <class Format, int tokens>
void row_product(const PackedBlocks& w, const PackedActivations& x, std::int64_t row, std::int64_t token) {
    const std::uint8_t* bytes = w.bytes + row * w.row_bytes;
    const std::int64_t blocks = w.cols / block_cols;
    Row<Format, tokens> sums(x, token);
    if constexpr (Format::structure_blocks == 1) {
        std::int64_t block = 0;
        for (; block + 2 <= blocks; block += 2)
            sums.add_structures(bytes + block * Format::bytes, bytes + (block + 1) * Format::bytes, block);
        if (block < blocks) {
            // The activations have zeros in the place of the block that is missing.
            const std::uint8_t* last = bytes + block * Format::bytes;
            sums.add_structures(last, last, block);
        }
    } else {
        for (std::int64_t block = 0; block < blocks; block += Format::structure_blocks)
            sums.add_structure(bytes + block / Format::structure_blocks * Format::bytes, block);
    }
    const std::int64_t out = w.row_order != nullptr ? w.row_order[row] : row;
    for (int t = 0; t < tokens; ++t) {
        float sum = tree_sum(sums.sums[t]);
        if constexpr (Format::has_minimum) sum += sums.minimums[t][0] + sums.minimums[t][1];
        w.y[(token + t) * w.y_step + out] = sum;
    }
}

template <class Format>
void product(const PackedBlocks& w, const PackedActivations& x, std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
        std::int64_t token = 0;
        for (; token + 4 <= x.tokens; token += 4) row_product<Format, 4>(w, x, row, token);
        for (; token < x.tokens; ++token) row_product<Format, 1>(w, x, row, token);
    }
}

}  // namespace

extern const BlockKernels packed_blocks;
const BlockKernels packed_blocks{quantise,      product<Q8_0>, product<Q4_0>, product<Q4_1>,
                                 product<Q4_K>, product<Q5_K>, product<Q6_K>};

}  // namespace jlcm::JLCM_ISA
