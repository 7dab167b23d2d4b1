#include "core/backend/cpu/cached_attention.hpp"
#include "core/backend/cpu/vector_math.hpp"

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace jlcm::JLCM_ISA {
namespace {

constexpr std::int64_t lanes = 16;
using Floats = float __attribute__((vector_size(64)));
using FloatsAnywhere = float __attribute__((vector_size(64), aligned(4)));

[[gnu::always_inline]] inline float from_half(std::uint16_t bits) {
    const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fffU) << 13;
    float value = 0;
    __builtin_memcpy(&value, &magnitude, sizeof value);
    value *= 0x1p112F;
    std::uint32_t result = 0;
    __builtin_memcpy(&result, &value, sizeof result);
    if (magnitude >= 0x0f800000U) result |= 0x7f800000U;  // infinity and NaN
    result |= static_cast<std::uint32_t>(bits & 0x8000U) << 16;
    __builtin_memcpy(&value, &result, sizeof value);
    return value;
}

// Elements of a cache as floats, one or 16 at a time. Vectors are written through references: a function that
// returns 64 bytes has no one calling convention.
struct Float32 {
    using Element = float;
    [[gnu::always_inline]] static float value(float x) { return x; }
    [[gnu::always_inline]] static void load(const float* from, Floats& to) {
        to = *reinterpret_cast<const FloatsAnywhere*>(from);
    }
};
struct Float16 {
    using Element = std::uint16_t;
    [[gnu::always_inline]] static float value(std::uint16_t x) { return from_half(x); }
    [[gnu::always_inline]] static void load(const std::uint16_t* from, Floats& to) {
#if defined(__AVX512F__)
        const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
        to = reinterpret_cast<Floats>(_mm512_maskz_cvtph_ps(0xffff, halves));
#elif defined(__F16C__)
        const auto* halves = reinterpret_cast<const __m128i*>(from);
        const __m256 parts[2] = {_mm256_cvtph_ps(_mm_loadu_si128(halves)),
                                 _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
        __builtin_memcpy(&to, parts, sizeof to);
#else
        for (std::int64_t l = 0; l < lanes; ++l) to[l] = from_half(from[l]);
#endif
    }
};
struct Int8 {
    using Element = signed char;
    [[gnu::always_inline]] static float value(signed char x) { return static_cast<float>(x); }
    [[gnu::always_inline]] static void load(const signed char* from, Floats& to) {
#if defined(__AVX512F__)
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
        to = reinterpret_cast<Floats>(
            _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepi8_epi32(0xffff, bytes)));
#elif defined(__AVX2__)
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
        const __m256 parts[2] = {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                                 _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
        __builtin_memcpy(&to, parts, sizeof to);
#else
        for (std::int64_t l = 0; l < lanes; ++l) to[l] = static_cast<float>(from[l]);
#endif
    }
};

[[gnu::always_inline]] inline float sum_of(const Floats& values) {
    float sums[lanes];
    __builtin_memcpy(sums, &values, sizeof sums);
    for (std::int64_t half = lanes / 2; half > 0; half /= 2)
        for (std::int64_t l = 0; l < half; ++l) sums[l] += sums[l + half];
    return sums[0];
}

/// q . row, for `count` (1 to `rows`) rows of n elements at once.
template <class Type, int rows>
[[gnu::always_inline]] inline void dots(std::int64_t n, const float* q, const typename Type::Element* row,
                                        float* out) {
    Floats sums[rows] = {};
    std::int64_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        const Floats part = *reinterpret_cast<const FloatsAnywhere*>(q + i);
        for (int r = 0; r < rows; ++r) {
            Floats values;
            Type::load(row + r * n + i, values);
            sums[r] += part * values;
        }
    }
    for (int r = 0; r < rows; ++r) {
        float sum = sum_of(sums[r]);
        for (std::int64_t j = i; j < n; ++j) sum += q[j] * Type::value(row[r * n + j]);
        out[r] = sum;
    }
}

template <class Type>
void dot(std::int64_t n, std::int64_t count, const float* q, const void* rows, const float* scales,
         float scale, float* scores) {
    const auto* row = static_cast<const typename Type::Element*>(rows);
    std::int64_t t = 0;
    for (; t + 4 <= count; t += 4) dots<Type, 4>(n, q, row + t * n, scores + t);
    for (; t < count; ++t) dots<Type, 1>(n, q, row + t * n, scores + t);
    for (t = 0; t < count; ++t) scores[t] *= scale * (scales != nullptr ? scales[t] : 1.0F);
}

/// 16 * `blocks` elements of each row.
template <class Type, int blocks>
[[gnu::always_inline]] inline void add_blocks(std::int64_t n, std::int64_t count, const float* weights,
                                              const typename Type::Element* row, const float* scales,
                                              float* out) {
    Floats sums[blocks] = {};
    for (std::int64_t t = 0; t < count; ++t, row += n) {
        const float weight = weights[t] * (scales != nullptr ? scales[t] : 1.0F);
        for (int b = 0; b < blocks; ++b) {
            Floats values;
            Type::load(row + b * lanes, values);
            sums[b] += weight * values;
        }
    }
    for (int b = 0; b < blocks; ++b) {
        auto* to = reinterpret_cast<FloatsAnywhere*>(out + b * lanes);
        *to = *to + sums[b];
    }
}

template <class Type>
void add(std::int64_t n, std::int64_t count, const float* weights, const void* rows, const float* scales,
         float* out) {
    const auto* row = static_cast<const typename Type::Element*>(rows);
    std::int64_t i = 0;
    for (; i + 4 * lanes <= n; i += 4 * lanes)
        add_blocks<Type, 4>(n, count, weights, row + i, scales, out + i);
    for (; i + lanes <= n; i += lanes) add_blocks<Type, 1>(n, count, weights, row + i, scales, out + i);
    for (; i < n; ++i)
        for (std::int64_t t = 0; t < count; ++t)
            out[i] += weights[t] * (scales != nullptr ? scales[t] : 1.0F) * Type::value(row[t * n + i]);
}

void softmax(std::int64_t n, float* x) {
    float maximum = x[0];
    for (std::int64_t i = 1; i < n; ++i) maximum = maximum < x[i] ? x[i] : maximum;
    for (std::int64_t i = 0; i < n; ++i) x[i] = exponential(x[i] - maximum);
    float sums[lanes] = {};
    std::int64_t i = 0;
    for (; i + lanes <= n; i += lanes)
        for (std::int64_t l = 0; l < lanes; ++l) sums[l] += x[i + l];
    for (std::int64_t l = 0; i + l < n; ++l) sums[l] += x[i + l];
    for (std::int64_t half = lanes / 2; half > 0; half /= 2)
        for (std::int64_t l = 0; l < half; ++l) sums[l] += sums[l + half];
    const float factor = 1.0F / sums[0];
    for (i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace

extern const CachedAttentionKernels cached_attention;
const CachedAttentionKernels cached_attention{
    {{dot<Float32>, add<Float32>}, {dot<Float16>, add<Float16>}, {dot<Int8>, add<Int8>}}, softmax};

}  // namespace jlcm::JLCM_ISA
