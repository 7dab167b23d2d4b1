#include "core/codebook/decoding_kernels.hpp"

#if defined(__SSSE3__)
#include <immintrin.h>
#endif

namespace jlcm::JLCM_ISA {
namespace {

constexpr int block_words = 16;

template <int width>
void add_plane_of(int low_bit, std::int64_t blocks, const std::uint8_t* packed, std::uint8_t* codes) {
    constexpr std::uint32_t mask = (1U << width) - 1U;
    for (std::int64_t block = 0; block < blocks; ++block, packed += 4 * block_words) {
        std::uint32_t words[block_words];
        __builtin_memcpy(words, packed, sizeof words);
        for (int shift = 0; shift < 32; shift += width, codes += block_words)
            for (int lane = 0; lane < block_words; ++lane)
                codes[lane] =
                    static_cast<std::uint8_t>(codes[lane] | ((words[lane] >> shift & mask) << low_bit));
    }
}

void add_plane(int width, int low_bit, std::int64_t blocks, const std::uint8_t* packed, std::uint8_t* codes) {
    switch (width) {
        case 1:
            return add_plane_of<1>(low_bit, blocks, packed, codes);
        case 2:
            return add_plane_of<2>(low_bit, blocks, packed, codes);
        case 4:
            return add_plane_of<4>(low_bit, blocks, packed, codes);
        default:
            return add_plane_of<8>(low_bit, blocks, packed, codes);
    }
}

void look_up(int codewords, const float* table, std::int64_t n, const std::uint8_t* codes, float* out) {
    std::int64_t i = 0;
#if defined(__AVX512BW__)
    if (codewords <= 16) {
        constexpr __mmask16 all = 0xffff;  // GCC 12 warns of the forms without a mask
        const auto mask = static_cast<__mmask16>((1U << codewords) - 1U);
        const __m512 values = _mm512_maskz_loadu_ps(mask, table);
        for (; i + 16 <= n; i += 16) {
            const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i));
            const __m512i index = _mm512_maskz_cvtepu8_epi32(all, bytes);
            _mm512_storeu_ps(out + i, _mm512_maskz_permutexvar_ps(all, index, values));
        }
    }
#elif defined(__AVX2__)
    if (codewords <= 8) {
        alignas(32) float padded[8] = {};
        __builtin_memcpy(padded, table, static_cast<unsigned>(codewords) * sizeof(float));
        const __m256 values = _mm256_load_ps(padded);
        for (; i + 8 <= n; i += 8) {
            const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + i));
            _mm256_storeu_ps(out + i, _mm256_permutevar8x32_ps(values, _mm256_cvtepu8_epi32(bytes)));
        }
    }
#else
    (void)codewords;
#endif
    for (; i < n; ++i) out[i] = table[codes[i]];
}

void look_up_16(int codewords, const std::uint16_t* table, std::int64_t n, const std::uint8_t* codes,
                std::uint16_t* out) {
    std::int64_t i = 0;
#if defined(__AVX512BW__)
    if (codewords <= 32) {
        const auto mask = static_cast<__mmask32>((std::uint64_t{1} << codewords) - 1U);
        const __m512i values = _mm512_maskz_loadu_epi16(mask, table);
        for (; i + 32 <= n; i += 32) {
            const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + i));
            _mm512_storeu_si512(out + i, _mm512_permutexvar_epi16(_mm512_cvtepu8_epi16(bytes), values));
        }
    }
#elif defined(__SSSE3__)
    if (codewords <= 16) {
        alignas(16) std::uint8_t low[16] = {};
        alignas(16) std::uint8_t high[16] = {};
        for (int k = 0; k < codewords; ++k) {
            low[k] = static_cast<std::uint8_t>(table[k]);
            high[k] = static_cast<std::uint8_t>(table[k] >> 8);
        }
        const __m128i low_bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(low));
        const __m128i high_bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(high));
        for (; i + 16 <= n; i += 16) {
            const __m128i code = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i));
            const __m128i a = _mm_shuffle_epi8(low_bytes, code);
            const __m128i b = _mm_shuffle_epi8(high_bytes, code);
            auto* to = reinterpret_cast<__m128i*>(out + i);
            _mm_storeu_si128(to, _mm_unpacklo_epi8(a, b));
            _mm_storeu_si128(to + 1, _mm_unpackhi_epi8(a, b));
        }
    }
#else
    (void)codewords;
#endif
    for (; i < n; ++i) out[i] = table[codes[i]];
}

}  // namespace

extern const DecodingKernels decoding;
const DecodingKernels decoding{add_plane, look_up, look_up_16};

}  // namespace jlcm::JLCM_ISA
