#include "core/backend/cpu/cached_attention.hpp"
#include "core/backend/cpu/vector_math.hpp"

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace jlcm::JLCM_ISA {
namespace {

constexpr std::int64_t lanes = 16;

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

struct Float32 {
    using Element = float;
    [[gnu::always_inline]] static float value(float x) { return x; }
};
struct Float16 {
    using Element = std::uint16_t;
    [[gnu::always_inline]] static float value(std::uint16_t x) { return from_half(x); }
};

/// 16 elements as floats.
template <class Type>
[[gnu::always_inline]] inline void load(const typename Type::Element* from, float* to) {
    for (std::int64_t l = 0; l < lanes; ++l) to[l] = Type::value(from[l]);
}
#if defined(__AVX512F__)
template <>
[[gnu::always_inline]] inline void load<Float16>(const std::uint16_t* from, float* to) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    _mm512_storeu_ps(to, _mm512_maskz_cvtph_ps(0xffff, halves));
}
#elif defined(__F16C__)
template <>
[[gnu::always_inline]] inline void load<Float16>(const std::uint16_t* from, float* to) {
    for (int half = 0; half < 2; ++half)
        _mm256_storeu_ps(to + 8 * half,
                         _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 8 * half))));
}
#endif
struct Int8 {
    using Element = signed char;
    [[gnu::always_inline]] static float value(signed char x) { return static_cast<float>(x); }
};

template <class Type>
void dot(std::int64_t n, std::int64_t count, const float* q, const void* rows, const float* scales,
         float scale, float* scores) {
    const auto* row = static_cast<const typename Type::Element*>(rows);
    for (std::int64_t t = 0; t < count; ++t, row += n) {
        float sums[lanes] = {};
        std::int64_t i = 0;
        for (; i + lanes <= n; i += lanes) {
            float values[lanes];
            load<Type>(row + i, values);
            for (std::int64_t l = 0; l < lanes; ++l) sums[l] += q[i + l] * values[l];
        }
        for (std::int64_t l = 0; i + l < n; ++l) sums[l] += q[i + l] * Type::value(row[i + l]);
        for (std::int64_t half = lanes / 2; half > 0; half /= 2)
            for (std::int64_t l = 0; l < half; ++l) sums[l] += sums[l + half];
        scores[t] = sums[0] * scale * (scales != nullptr ? scales[t] : 1.0F);
    }
}

template <class Type>
void add(std::int64_t n, std::int64_t count, const float* weights, const void* rows, const float* scales,
         float* out) {
    const auto* row = static_cast<const typename Type::Element*>(rows);
    for (std::int64_t t = 0; t < count; ++t, row += n) {
        const float weight = weights[t] * (scales != nullptr ? scales[t] : 1.0F);
        std::int64_t i = 0;
        for (; i + lanes <= n; i += lanes) {
            float values[lanes];
            load<Type>(row + i, values);
            for (std::int64_t l = 0; l < lanes; ++l) out[i + l] += weight * values[l];
        }
        for (; i < n; ++i) out[i] += weight * Type::value(row[i]);
    }
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
