#pragma once
// Vectors of bytes for products in 8 bits, for isa_*.cpp only: hence in namespace JLCM_ISA. 64 bytes, a block
// of packed codes, are `parts` vectors; their dot products with 64 others are 16 lanes of 4 bytes each, in
// int32. The same lanes on every instruction set, so that sums over them are equal to the bit.

#include <cstdint>

#if defined(__aarch64__)
#include <arm_neon.h>
#else
// g++ 12 takes the undefined lanes of its own intrinsics for uninitialised variables (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

namespace jlcm::JLCM_ISA {

#if defined(__AVX512BW__)
constexpr int vector_bytes = 64;
using Bytes = __m512i;
using Integers = __m512i;
using Floats = __m512;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
using Bytes = __m256i;
using Integers = __m256i;
using Floats = __m256;
#elif defined(__SSSE3__)
constexpr int vector_bytes = 16;
using Bytes = __m128i;
using Integers = __m128i;
using Floats = __m128;
#elif defined(__aarch64__)
constexpr int vector_bytes = 16;
using Bytes = uint8x16_t;
using Integers = int32x4_t;
using Floats = float32x4_t;
#endif
constexpr int parts = 64 / vector_bytes;
constexpr int part_lanes = vector_bytes / 4;

#define JLCM_INLINE [[gnu::always_inline]] inline

/// Of signed bytes as the left side of dot(): what is added to each byte to make it unsigned, as a power of
/// two; 0: nothing is.
#if defined(__AVX512VNNI__)
constexpr int dot_bias_bits = 7;
#else
constexpr int dot_bias_bits = 0;
#endif

#if defined(__aarch64__)

JLCM_INLINE Bytes load(const void* p) {
    return vld1q_u8(static_cast<const std::uint8_t*>(p));
}
JLCM_INLINE Integers load_integers(const std::int32_t* p) {
    return vld1q_s32(p);
}
JLCM_INLINE Integers no_integers() {
    return vdupq_n_s32(0);
}
JLCM_INLINE Floats no_floats() {
    return vdupq_n_f32(0.0F);
}
JLCM_INLINE Floats all(float x) {
    return vdupq_n_f32(x);
}
JLCM_INLINE Floats to_floats(Integers x) {
    return vcvtq_f32_s32(x);
}
JLCM_INLINE Bytes all_bytes(std::uint8_t x) {
    return vdupq_n_u8(x);
}
JLCM_INLINE Bytes bits_and(Bytes a, Bytes b) {
    return vandq_u8(a, b);
}
JLCM_INLINE Bytes bits_or(Bytes a, Bytes b) {
    return vorrq_u8(a, b);
}
/// Each pair of bytes shifted to the right by n bits; to the left by -n.
template <int n>
JLCM_INLINE Bytes shifted(Bytes v) {
    if constexpr (n > 0) {
        return vreinterpretq_u8_u16(vshrq_n_u16(vreinterpretq_u16_u8(v), n));
    } else if constexpr (n < 0) {
        return vreinterpretq_u8_u16(vshlq_n_u16(vreinterpretq_u16_u8(v), -n));
    } else {
        return v;
    }
}
template <int n>
JLCM_INLINE Integers shifted_left(Integers v) {
    return vshlq_n_s32(v, n);
}

#else

#if defined(__AVX512BW__)
#define JLCM_V(name) _mm512_##name
#define JLCM_SI(name) _mm512_##name##_si512
#elif defined(__AVX2__)
#define JLCM_V(name) _mm256_##name
#define JLCM_SI(name) _mm256_##name##_si256
#else
#define JLCM_V(name) _mm_##name
#define JLCM_SI(name) _mm_##name##_si128
#endif

JLCM_INLINE Bytes load(const void* p) {
    return JLCM_SI(loadu)(static_cast<const Bytes*>(p));
}
JLCM_INLINE Integers load_integers(const std::int32_t* p) {
    return load(p);
}
JLCM_INLINE Integers no_integers() {
    return JLCM_SI(setzero)();
}
JLCM_INLINE Floats no_floats() {
    return JLCM_V(setzero_ps)();
}
JLCM_INLINE Floats all(float x) {
    return JLCM_V(set1_ps)(x);
}
JLCM_INLINE Floats to_floats(Integers x) {
    return JLCM_V(cvtepi32_ps)(x);
}
JLCM_INLINE Bytes all_bytes(std::uint8_t x) {
    return JLCM_V(set1_epi8)(static_cast<char>(x));
}
JLCM_INLINE Bytes bits_and(Bytes a, Bytes b) {
    return JLCM_SI(and)(a, b);
}
JLCM_INLINE Bytes bits_or(Bytes a, Bytes b) {
    return JLCM_SI(or)(a, b);
}
/// Each pair of bytes shifted to the right by n bits; to the left by -n.
template <int n>
JLCM_INLINE Bytes shifted(Bytes v) {
    if constexpr (n > 0) {
        return JLCM_V(srli_epi16)(v, n);
    } else if constexpr (n < 0) {
        return JLCM_V(slli_epi16)(v, -n);
    } else {
        return v;
    }
}
template <int n>
JLCM_INLINE Integers shifted_left(Integers v) {
    return JLCM_V(slli_epi32)(v, n);
}

#endif

/// 2^bits times minus the sums of a lane's bytes: where sums begin of what has 2^bits added to each byte.
template <int bits>
JLCM_INLINE Integers less_bias(const std::int32_t* minus_lane_sums) {
    if constexpr (bits == 0) {
        return no_integers();
    } else {
        return shifted_left<bits>(load_integers(minus_lane_sums));
    }
}

/// Signed bytes within -127..127 as the right side of products.
struct Factor {
    Bytes value;
#if !defined(__aarch64__) && !defined(__AVX512VNNI__)
    Bytes magnitude;
#endif
#if defined(__AVX512BW__) && !defined(__AVX512VNNI__)
    __mmask64 negative;
#endif
};
JLCM_INLINE Factor factor(const std::int8_t* p) {
    Factor x{};
    x.value = load(p);
#if !defined(__aarch64__) && !defined(__AVX512VNNI__)
    x.magnitude = JLCM_V(abs_epi8)(x.value);
#endif
#if defined(__AVX512BW__) && !defined(__AVX512VNNI__)
    x.negative = _mm512_movepi8_mask(x.value);
#endif
    return x;
}

#if defined(__AVX512VNNI__)

#elif defined(__aarch64__)

/// sum + the products of signed bytes, four to a lane.
JLCM_INLINE Integers add_products(Integers sum, int8x16_t a, int8x16_t b) {
#if defined(__ARM_FEATURE_DOTPROD)
    return vdotq_s32(sum, a, b);
#else
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(a, b));
    return vaddq_s32(sum, vpaddq_s32(low, high));
#endif
}

#else

/// sum + the products of unsigned and signed bytes, four to a lane. No two neighbours may reach 2^15.
JLCM_INLINE Integers add_products(Integers sum, Bytes a, Bytes b) {
    const Bytes pairs = JLCM_V(maddubs_epi16)(a, b);
    return JLCM_V(add_epi32)(sum, JLCM_V(madd_epi16)(pairs, JLCM_V(set1_epi16)(1)));
}

#endif

/// sum + dot products of `left` with x, four bytes to a lane. Left: within 0..127.
JLCM_INLINE Integers dot_small(Integers sum, Bytes left, const Factor& x) {
#if defined(__AVX512VNNI__)
    return _mm512_dpbusd_epi32(sum, left, x.value);
#elif defined(__aarch64__)
    return add_products(sum, vreinterpretq_s8_u8(left), vreinterpretq_s8_u8(x.value));
#else
    return add_products(sum, left, x.value);
#endif
}

/// The same with levels of a table (Table) on the left.
JLCM_INLINE Integers dot_levels(Integers sum, Bytes left, const Factor& x) {
#if defined(__AVX512VNNI__)
    return _mm512_dpbusd_epi32(sum, left, x.value);
#elif defined(__AVX512BW__)
    return add_products(sum, x.magnitude,
                        _mm512_mask_sub_epi8(left, x.negative, _mm512_setzero_si512(), left));
#elif defined(__aarch64__)
    return add_products(sum, vreinterpretq_s8_u8(left), vreinterpretq_s8_u8(x.value));
#else
    // Levels and x lie within -127..127: two products of a pair are at most 32258.
    return add_products(sum, x.magnitude, JLCM_V(sign_epi8)(left, x.value));
#endif
}

/// The same with any signed bytes on the left, -128 too, plus 2^dot_bias_bits.
JLCM_INLINE Integers dot_signed(Integers sum, Bytes left, const Factor& x) {
#if defined(__AVX512VNNI__)
    return _mm512_dpbusd_epi32(sum, _mm512_xor_si512(left, _mm512_set1_epi8(-128)), x.value);
#elif defined(__AVX512BW__)
    const Bytes turned =
        _mm512_mask_sub_epi8(x.value, _mm512_movepi8_mask(left), _mm512_setzero_si512(), x.value);
    return add_products(sum, _mm512_abs_epi8(left), turned);
#elif defined(__aarch64__)
    return add_products(sum, vreinterpretq_s8_u8(left), vreinterpretq_s8_u8(x.value));
#else
    return add_products(sum, JLCM_V(abs_epi8)(left), JLCM_V(sign_epi8)(x.value, left));
#endif
}

/// A table of 2^bits levels, repeated as often as they fit; with VNNI plus 2^dot_bias_bits.
template <int bits>
JLCM_INLINE Bytes table(const std::int8_t* levels) {
    std::uint64_t eight = 0;
    if constexpr (bits < 4) {
        __builtin_memcpy(&eight, levels, 1 << bits);
        if constexpr (bits == 1) eight *= 0x0001000100010001U;
        if constexpr (bits == 2) eight *= 0x0000000100000001U;
    }
#if defined(__aarch64__)
    if constexpr (bits == 4) return load(levels);
    return vreinterpretq_u8_u64(vdupq_n_u64(eight));
#else
#if defined(__AVX512BW__)
    const __m512i all =
        bits == 4 ? _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(levels)))
                  : _mm512_set1_epi64(static_cast<long long>(eight));
#elif defined(__AVX2__)
    const __m256i all =
        bits == 4 ? _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(levels)))
                  : _mm256_set1_epi64x(static_cast<long long>(eight));
#else
    const __m128i all = bits == 4 ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(levels))
                                  : _mm_set1_epi64x(static_cast<long long>(eight));
#endif
#if defined(__AVX512VNNI__)
    return _mm512_xor_si512(all, _mm512_set1_epi8(-128));
#else
    return all;
#endif
#endif
}

/// The levels that the low bits of `index` name; the bits above are ignored.
JLCM_INLINE Bytes look_up(Bytes table, Bytes index) {
#if defined(__AVX512VBMI__)
    return _mm512_permutexvar_epi8(index, table);  // six bits of the index, of which the table repeats
#elif defined(__aarch64__)
    return vqtbl1q_u8(table, bits_and(index, all_bytes(15)));
#else
    return JLCM_V(shuffle_epi8)(table, bits_and(index, all_bytes(15)));
#endif
}

/// The lowest two bits of each byte of `low`, the others of `high`.
JLCM_INLINE Bytes joined(Bytes low, Bytes high) {
    const Bytes two = all_bytes(3);
#if defined(__AVX512BW__)
    return _mm512_ternarylogic_epi32(two, low, high, 0xCA);
#elif defined(__aarch64__)
    return vbslq_u8(two, low, high);
#else
    return JLCM_SI(or)(JLCM_SI(and)(two, low), JLCM_SI(andnot)(two, high));
#endif
}

/// Of each 32-bit word the half `half` of 16 bits, four bits to a byte: byte b has bits 4 b..4 b + 3 of the
/// half as its lowest.
template <int half>
JLCM_INLINE Bytes spread(Bytes words) {
#if defined(__AVX512VBMI__)
    constexpr long long at = 0x0C080400LL + 0x10101010LL * half;  // 16 half + 4 b for the first word of two
    return _mm512_multishift_epi64_epi8(_mm512_set1_epi64(at | (at + 0x20202020LL) << 32), words);
#else
    // Bytes 2 half and 2 half + 1 of a word, with room behind each: its upper bits are moved there.
    alignas(16) static constexpr std::uint8_t picked[2][16] = {
        {0, 0x80, 1, 0x80, 4, 0x80, 5, 0x80, 8, 0x80, 9, 0x80, 12, 0x80, 13, 0x80},
        {2, 0x80, 3, 0x80, 6, 0x80, 7, 0x80, 10, 0x80, 11, 0x80, 14, 0x80, 15, 0x80}};
#if defined(__aarch64__)
    const Bytes wide = vqtbl1q_u8(words, load(picked[half]));
#else
    const __m128i pattern = _mm_load_si128(reinterpret_cast<const __m128i*>(picked[half]));
#if defined(__AVX512BW__)
    const Bytes wide = _mm512_shuffle_epi8(words, _mm512_broadcast_i32x4(pattern));
#elif defined(__AVX2__)
    const Bytes wide = _mm256_shuffle_epi8(words, _mm256_broadcastsi128_si256(pattern));
#else
    const Bytes wide = _mm_shuffle_epi8(words, pattern);
#endif
#endif
    return bits_or(wide, shifted<-4>(wide));
#endif
}

/// Sixteen lanes as a tree: l + 8, + 4, + 2, + 1.
JLCM_INLINE float tree_sum(const Floats (&lanes)[parts]) {
#if defined(__aarch64__)
    const Floats four = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    const float32x2_t two = vget_low_f32(four) + vget_high_f32(four);
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
#else
#if defined(__AVX512BW__)
    const __m256 eight = _mm512_castps512_ps256(lanes[0]) + _mm512_extractf32x8_ps(lanes[0], 1);
    const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
#elif defined(__AVX2__)
    const __m256 eight = lanes[0] + lanes[1];
    const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
#else
    const __m128 four = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
#endif
    const __m128 two = four + _mm_movehl_ps(four, four);
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
#endif
}

}  // namespace jlcm::JLCM_ISA
