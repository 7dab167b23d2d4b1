// Products with the blocks of GGUF files (ggml-common.h): 32 columns with a scale and maybe a minimum, two of
// them at a time, in stretches of 512 columns whose scales are decoded first.
#include "core/backend/cpu/byte_vectors.hpp"
#include "core/backend/cpu/packed_kernels.hpp"
#include "core/backend/cpu/quantise_block.hpp"

namespace jlcm::JLCM_ISA {
namespace {

constexpr int block_cols = 32;
constexpr int block_lanes = 8;
constexpr int stretch = 16;  ///< blocks whose scales are decoded at once

void quantise(const float* x, std::int64_t cols, std::int8_t* values, std::int32_t* lane_sums, float* steps,
              float* sums) {
    const std::int64_t blocks = cols / block_cols;
    for (std::int64_t block = 0; block < blocks; ++block) {
        std::int32_t integers[block_cols];
        const QuantisedBlock result = quantise_block(x + block * block_cols, block_cols, integers);
        steps[block] = result.step;
        sums[block] = result.sum;
        for (int i = 0; i < block_cols; ++i)
            values[block * block_cols + i] = static_cast<std::int8_t>(integers[i]);
        for (int lane = 0; lane < block_lanes; ++lane)
            lane_sums[block * block_lanes + lane] =
                integers[4 * lane] + integers[4 * lane + 1] + integers[4 * lane + 2] + integers[4 * lane + 3];
    }
    if (blocks % 2 != 0) {
        __builtin_memset(values + blocks * block_cols, 0, block_cols);
        __builtin_memset(lane_sums + blocks * block_lanes, 0, block_lanes * sizeof(std::int32_t));
        steps[blocks] = 0;
        sums[blocks] = 0;
    }
}

/// What a stretch of a row holds beside its integers. Behind the last block: zeros.
struct Scales {
    float scale[2 * stretch];  ///< of 16 columns each
    float minimum[stretch];    ///< of 32: what every value has more
};

/// IEEE binary16 to float, exact (as core/base/half.hpp, whose inline function must not be used here).
JLCM_INLINE float half_to_float(std::uint16_t bits) {
    const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fffU) << 13;
    std::uint32_t result = __builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, magnitude) * 0x1p112F);
    result |= magnitude >= 0x0f800000U ? 0x7f800000U : 0U;
    return __builtin_bit_cast(float, result | static_cast<std::uint32_t>(bits & 0x8000U) << 16);
}
JLCM_INLINE std::uint16_t load_half(const std::uint8_t* p) {
    std::uint16_t bits = 0;
    __builtin_memcpy(&bits, p, sizeof bits);
    return bits;
}

/// For n blocks of `bytes` bytes with a half at `at`, each value for 16 columns twice or for 32 once.
template <int bytes, int at, int copies>
JLCM_INLINE void halves_of(const std::uint8_t* blocks, int n, float* values) {
    std::uint16_t bits[stretch] = {};
    for (int i = 0; i < n; ++i) bits[i] = load_half(blocks + i * bytes + at);
    for (int i = 0; i < stretch; ++i)
        for (int copy = 0; copy < copies; ++copy) values[copies * i + copy] = half_to_float(bits[i]);
}

/// Sixteen bytes for each of the four times 16 columns that two blocks are made of.
struct Granules {
    const std::uint8_t* at[4];
};

/// The part of them that is one vector.
template <int part>
JLCM_INLINE Bytes load_part(const Granules& granules) {
#if defined(__aarch64__)
    return load(granules.at[part]);
#else
    const auto sixteen = [&](int i) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(granules.at[i]));
    };
#if defined(__AVX512BW__)
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(sixteen(0)), sixteen(1), 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(sixteen(2)), sixteen(3), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
#elif defined(__AVX2__)
    return _mm256_inserti128_si256(_mm256_castsi128_si256(sixteen(2 * part)), sixteen(2 * part + 1), 1);
#else
    return sixteen(part);
#endif
#endif
}

/// Each granule shifted to the right by its own number of bits, or to the left by a negative one.
template <int part, int a, int b, int c, int d>
JLCM_INLINE Bytes shift_granules(Bytes v) {
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

// The formats: the blocks of a row as 32 columns each; how many columns share a structure; integers from 0 to
// 63 that stand for `bias` less, or any signed bytes.

struct Q8_0 {
    static constexpr int bytes = 34;
    static constexpr int structure_blocks = 1;
    static constexpr int bias_bits = dot_bias_bits;
    static constexpr bool signed_bytes = true;
    static constexpr bool has_minimum = false;
    static void scales(const std::uint8_t* blocks, int n, Scales& out) {
        halves_of<bytes, 0, 2>(blocks, n, out.scale);
    }
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* first, const std::uint8_t* second) {
        return load_part<part>({{first + 2, first + 18, second + 2, second + 18}});
    }
};

template <int begin>
JLCM_INLINE Granules nibbles(const std::uint8_t* first, const std::uint8_t* second) {
    return {{first + begin, first + begin, second + begin, second + begin}};
}

struct Q4_0 {
    static constexpr int bytes = 18;
    static constexpr int structure_blocks = 1;
    static constexpr int bias_bits = 3;
    static constexpr bool signed_bytes = false;
    static constexpr bool has_minimum = false;
    static void scales(const std::uint8_t* blocks, int n, Scales& out) {
        halves_of<bytes, 0, 2>(blocks, n, out.scale);
    }
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* first, const std::uint8_t* second) {
        const Bytes both = load_part<part>(nibbles<2>(first, second));
        return bits_and(shift_granules<part, 0, 4, 0, 4>(both), all_bytes(15));
    }
};

struct Q4_1 {
    static constexpr int bytes = 20;
    static constexpr int structure_blocks = 1;
    static constexpr int bias_bits = 0;
    static constexpr bool signed_bytes = false;
    static constexpr bool has_minimum = true;
    static void scales(const std::uint8_t* blocks, int n, Scales& out) {
        halves_of<bytes, 0, 2>(blocks, n, out.scale);
        halves_of<bytes, 2, 1>(blocks, n, out.minimum);
    }
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* first, const std::uint8_t* second) {
        const Bytes both = load_part<part>(nibbles<4>(first, second));
        return bits_and(shift_granules<part, 0, 4, 0, 4>(both), all_bytes(15));
    }
};

/// Scales and minimums of Q4_K and Q5_K: eight of 6 bits each in 12 bytes (get_scale_min_k4).
template <int bytes>
JLCM_INLINE void k_scales(const std::uint8_t* structures, int n, Scales& out) {
    for (int i = 0; i < stretch / 8; ++i) {
        float scale = 0;
        float minimum = 0;
        std::uint8_t packed[12] = {};
        if (8 * i < n) {
            const std::uint8_t* structure = structures + i * bytes;
            scale = half_to_float(load_half(structure));
            minimum = half_to_float(load_half(structure + 2));
            __builtin_memcpy(packed, structure + 4, sizeof packed);
        }
        for (int j = 0; j < 8; ++j) {
            const int s = j < 4 ? packed[j] & 63 : (packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4);
            const int m = j < 4 ? packed[j + 4] & 63 : (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4);
            out.scale[2 * (8 * i + j)] = out.scale[2 * (8 * i + j) + 1] = scale * static_cast<float>(s);
            out.minimum[8 * i + j] = -(minimum * static_cast<float>(m));
        }
    }
}

/// The low four bits of a pair of blocks in a structure, from 32 bytes.
template <int part>
JLCM_INLINE Bytes low_nibbles(const std::uint8_t* bytes) {
    const Bytes both = load_part<part>({{bytes, bytes + 16, bytes, bytes + 16}});
    return bits_and(shift_granules<part, 0, 0, 4, 4>(both), all_bytes(15));
}

struct Q4_K {
    static constexpr int bytes = 144;
    static constexpr int structure_blocks = 8;
    static constexpr int bias_bits = 0;
    static constexpr bool signed_bytes = false;
    static constexpr bool has_minimum = true;
    static void scales(const std::uint8_t* blocks, int n, Scales& out) { k_scales<bytes>(blocks, n, out); }
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* structure, const std::uint8_t* /*second*/) {
        return low_nibbles<part>(structure + 16 + 32 * pair);
    }
};

struct Q5_K {
    static constexpr int bytes = 176;
    static constexpr int structure_blocks = 8;
    static constexpr int bias_bits = 0;
    static constexpr bool signed_bytes = false;
    static constexpr bool has_minimum = true;
    static void scales(const std::uint8_t* blocks, int n, Scales& out) { k_scales<bytes>(blocks, n, out); }
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* structure, const std::uint8_t* /*second*/) {
        // Block j has its fifth bits at bit j of 32 bytes.
        constexpr int down = 2 * pair - 4;
        const Bytes fifth =
            load_part<part>({{structure + 16, structure + 32, structure + 16, structure + 32}});
        const Bytes high =
            bits_and(shift_granules<part, down, down, down + 1, down + 1>(fifth), all_bytes(16));
        return bits_or(low_nibbles<part>(structure + 48 + 32 * pair), high);
    }
};

struct Q6_K {
    static constexpr int bytes = 210;
    static constexpr int structure_blocks = 8;
    static constexpr int bias_bits = 5;
    static constexpr bool signed_bytes = false;
    static constexpr bool has_minimum = false;
    static void scales(const std::uint8_t* structures, int n, Scales& out) {
        for (int i = 0; i < stretch / 8; ++i) {
            const std::uint8_t* structure = structures + i * bytes;
            const float scale = 8 * i < n ? half_to_float(load_half(structure + 208)) : 0.0F;
            std::int8_t packed[16] = {};
            if (8 * i < n) __builtin_memcpy(packed, structure + 192, sizeof packed);
            for (int j = 0; j < 16; ++j) out.scale[16 * i + j] = scale * static_cast<float>(packed[j]);
        }
    }
    template <int pair, int part>
    JLCM_INLINE static Bytes integers(const std::uint8_t* structure, const std::uint8_t* /*second*/) {
        // 128 columns: blocks 0 and 1 in the low four bits of 64 bytes, 2 and 3 in the high ones; of 32 bytes
        // two bits each.
        constexpr int half = pair / 2;
        constexpr int nibble = 4 * (pair % 2);
        const std::uint8_t* low = structure + 64 * half;
        const Bytes four = load_part<part>({{low, low + 16, low + 32, low + 48}});
        const std::uint8_t* high = structure + 128 + 32 * half;
        const Bytes two = load_part<part>({{high, high + 16, high, high + 16}});
        return bits_or(bits_and(shifted<nibble>(four), all_bytes(15)),
                       bits_and(shift_granules<part, nibble - 4, nibble - 4, nibble - 2, nibble - 2>(two),
                                all_bytes(48)));
    }
};

/// Four factors of 16 columns each, for the lanes of a part.
template <int part>
JLCM_INLINE Floats spread_factors(const float* factors) {
#if defined(__AVX512BW__)
    const __m512 four = _mm512_broadcast_f32x4(_mm_loadu_ps(factors));
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), four);
#elif defined(__AVX2__)
    return _mm256_set_m128(_mm_set1_ps(factors[2 * part + 1]), _mm_set1_ps(factors[2 * part]));
#else
    return all(factors[part]);
#endif
}

/// The sums of some tokens over one row.
template <class Format, int tokens>
struct RowSums {
    Floats sums[tokens][parts];
    float minimums[tokens][stretch];  // lane i: blocks i, i + 16, ...

    template <int pair, int part>
    JLCM_INLINE void add_part(const std::uint8_t* first, const std::uint8_t* second,
                              const std::int8_t* const* x, const std::int32_t* const* lane_sums,
                              const float (&factors)[tokens][2 * stretch], int block) {
        const Bytes left = Format::template integers<pair, part>(first, second);
#pragma GCC unroll 4
        for (int t = 0; t < tokens; ++t) {
            const Factor right = factor(x[t] + block * block_cols + part * vector_bytes);
            const Integers begin =
                less_bias<Format::bias_bits>(lane_sums[t] + block * block_lanes + part * part_lanes);
            Integers sum;
            if constexpr (Format::signed_bytes) {
                sum = dot_signed(begin, left, right);
            } else {
                sum = dot_small(begin, left, right);
            }
            const Floats factor_of_lanes = spread_factors<part>(factors[t] + 2 * block);
            sums[t][part] = sums[t][part] + to_floats(sum) * factor_of_lanes;
        }
        if constexpr (part + 1 < parts) add_part<pair, part + 1>(first, second, x, lane_sums, factors, block);
    }

    /// The pairs of a structure of several blocks.
    template <int pair>
    JLCM_INLINE void add_pairs(const std::uint8_t* structure, const std::int8_t* const* x,
                               const std::int32_t* const* lane_sums,
                               const float (&factors)[tokens][2 * stretch], int block) {
        add_part<pair, 0>(structure, structure, x, lane_sums, factors, block);
        if constexpr (2 * (pair + 1) < Format::structure_blocks)
            add_pairs<pair + 1>(structure, x, lane_sums, factors, block + 2);
    }
};

template <class Format, int tokens>
void row_product(const PackedBlocks& w, const PackedActivations& x, std::int64_t row, std::int64_t token) {
    const std::uint8_t* bytes = w.bytes + row * w.row_bytes;
    const std::int64_t blocks = w.cols / block_cols;
    RowSums<Format, tokens> row_sums;
    for (int t = 0; t < tokens; ++t) {
        for (auto& part : row_sums.sums[t]) part = no_floats();
        for (auto& minimum : row_sums.minimums[t]) minimum = 0;
    }
    for (std::int64_t first = 0; first < blocks; first += stretch) {
        const int n = static_cast<int>(blocks - first < stretch ? blocks - first : stretch);
        const std::uint8_t* begin = bytes + first / Format::structure_blocks * Format::bytes;
        Scales scales;
        Format::scales(begin, n, scales);
        float factors[tokens][2 * stretch];
        const std::int8_t* values[tokens];
        const std::int32_t* lane_sums[tokens];
        for (int t = 0; t < tokens; ++t) {
            const std::int64_t at = (token + t) * x.blocks + first;
            values[t] = x.values + at * block_cols;
            lane_sums[t] = x.lane_sums + at * block_lanes;
            float steps[2 * stretch] = {};
            float sums[stretch] = {};
            for (int i = 0; i < n; ++i) {
                steps[2 * i] = steps[2 * i + 1] = x.steps[at + i];
                sums[i] = x.sums[at + i];
            }
            for (int i = 0; i < 2 * stretch; ++i) factors[t][i] = scales.scale[i] * steps[i];
            if constexpr (Format::has_minimum)
                for (int i = 0; i < stretch; ++i) row_sums.minimums[t][i] += scales.minimum[i] * sums[i];
        }
        if constexpr (Format::structure_blocks == 1) {
            for (int block = 0; block < n; block += 2) {
                const std::uint8_t* at = begin + block * Format::bytes;
                // An odd number of blocks: the last one meets zeros in the place of the one that is missing.
                const std::uint8_t* second = block + 1 < n ? at + Format::bytes : at;
                row_sums.template add_part<0, 0>(at, second, values, lane_sums, factors, block);
            }
        } else {
            for (int block = 0; block < n; block += Format::structure_blocks)
                row_sums.template add_pairs<0>(begin + block / Format::structure_blocks * Format::bytes,
                                               values, lane_sums, factors, block);
        }
    }
    const std::int64_t out = w.row_order != nullptr ? w.row_order[row] : row;
    for (int t = 0; t < tokens; ++t) {
        float sum = tree_sum(row_sums.sums[t]);
        if constexpr (Format::has_minimum) {
            auto& minimums = row_sums.minimums[t];
            for (int half = stretch / 2; half >= 1; half /= 2)
                for (int i = 0; i < half; ++i) minimums[i] += minimums[i + half];
            sum += minimums[0];
        }
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
