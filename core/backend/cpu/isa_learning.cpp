#include "core/backend/cpu/learning_kernels.hpp"

namespace jlcm::JLCM_ISA {
namespace {

constexpr int small_codebook = 16;

void decode(std::int64_t n, const std::uint8_t* codes, const float* table, float* out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = table[codes[i]];
}

void decode_bfloat16(std::int64_t n, const std::uint8_t* codes, const std::uint16_t* table,
                     std::uint16_t* out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = table[codes[i]];
}

void table_gradient(std::int64_t n, int codewords, const std::uint8_t* codes, const float* gradient,
                    float* sums) {
    if (codewords > small_codebook) {
        for (std::int64_t i = 0; i < n; ++i) sums[codes[i]] += gradient[i];
        return;
    }
    for (int k = 0; k < codewords; ++k) {
        float total = 0;
#pragma omp simd reduction(+ : total)
        for (std::int64_t i = 0; i < n; ++i) total += codes[i] == k ? gradient[i] : 0.0F;
        sums[k] += total;
    }
}

/// Replaces codes by new ones and counts the jumps. Nearly all are jumps of one, hence the early end.
void count_jumps(std::int64_t n, int codewords, const std::uint8_t* next, std::uint8_t* codes,
                 std::int64_t* jumps) {
    std::int64_t moved = 0;
#pragma omp simd reduction(+ : moved)
    for (std::int64_t i = 0; i < n; ++i) moved += next[i] != codes[i] ? 1 : 0;
    for (int length = 1; length < codewords && moved > 0; ++length) {
        std::int64_t count = 0;
#pragma omp simd reduction(+ : count)
        for (std::int64_t i = 0; i < n; ++i) {
            const int difference = static_cast<int>(next[i]) - static_cast<int>(codes[i]);
            count += difference == length || difference == -length ? 1 : 0;
        }
        jumps[length - 1] += count;
        moved -= count;
    }
    for (std::int64_t i = 0; i < n; ++i) codes[i] = next[i];
}

constexpr std::int64_t chunk = 512;

void nearest_step(std::int64_t n, int codewords, const float* table, const AdamStep* adam, float low,
                  float high, const float* gradient, float* latent, float* first_moment, float* second_moment,
                  std::uint8_t* codes, std::int64_t* jumps) {
    const AdamStep a = *adam;
    float thresholds[256];
    for (int k = 0; k + 1 < codewords; ++k) thresholds[k] = 0.5F * (table[k] + table[k + 1]);
    std::uint8_t next[chunk];
    std::int32_t count[chunk];
    for (std::int64_t begin = 0; begin < n; begin += chunk) {
        const std::int64_t size = n - begin < chunk ? n - begin : chunk;
        const float* g = gradient + begin;
        float* u = latent + begin;
        float* m = first_moment + begin;
        float* v = second_moment + begin;
#pragma omp simd
        for (std::int64_t i = 0; i < size; ++i) {
            m[i] = a.beta1 * m[i] + (1.0F - a.beta1) * g[i];
            v[i] = a.beta2 * v[i] + (1.0F - a.beta2) * g[i] * g[i];
            const float step =
                a.rate * (m[i] * a.correction1) / (__builtin_sqrtf(v[i] * a.correction2) + a.epsilon);
            const float moved = u[i] - step;
            u[i] = moved < low ? low : (moved > high ? high : moved);
            count[i] = 0;
        }
        for (int k = 0; k + 1 < codewords; ++k) {
            const float threshold = thresholds[k];
            for (std::int64_t i = 0; i < size; ++i) count[i] += u[i] > threshold ? 1 : 0;
        }
        for (std::int64_t i = 0; i < size; ++i) next[i] = static_cast<std::uint8_t>(count[i]);
        count_jumps(size, codewords, next, codes + begin, jumps);
    }
}

void straight_through_step(std::int64_t n, int codewords, const float* table, const AdamStep* adam,
                           const float* gradient, float* scores, float* first_moment, float* second_moment,
                           std::uint8_t* codes, std::int64_t* jumps) {
    const AdamStep a = *adam;
    float mean_square = 0;
    for (int k = 0; k < codewords; ++k) mean_square += table[k] * table[k] / static_cast<float>(codewords);
    for (std::int64_t i = 0; i < n; ++i) {
        // All scores of a weight share g: their gradients are g c_k, the mean of their squares g^2 mean(c^2).
        const float g = gradient[i];
        float& v = second_moment[i];
        v = a.beta2 * v + (1.0F - a.beta2) * g * g * mean_square;
        const float scale = a.rate * a.correction1 / (__builtin_sqrtf(v * a.correction2) + a.epsilon);
        float* score = scores + i * codewords;
        float* m = first_moment + i * codewords;
#pragma omp simd
        for (int k = 0; k < codewords; ++k) {
            m[k] = a.beta1 * m[k] + (1.0F - a.beta1) * g * table[k];
            score[k] -= scale * m[k];
        }
        // Ties: the present codeword, then the nearest to it.
        const int present = codes[i];
        int best = present;
        for (int distance = 1; distance < codewords; ++distance) {
            const int below = present - distance;
            const int above = present + distance;
            if (below >= 0 && score[below] > score[best]) best = below;
            if (above < codewords && score[above] > score[best]) best = above;
        }
        if (best != present) ++jumps[(best > present ? best - present : present - best) - 1];
        codes[i] = static_cast<std::uint8_t>(best);
    }
}

void adam_step(std::int64_t n, const AdamStep* adam, const float* gradient, float* value, float* first_moment,
               float* second_moment) {
    const AdamStep a = *adam;
    for (std::int64_t i = 0; i < n; ++i) {
        const float g = gradient[i];
        first_moment[i] = a.beta1 * first_moment[i] + (1.0F - a.beta1) * g;
        second_moment[i] = a.beta2 * second_moment[i] + (1.0F - a.beta2) * g * g;
        value[i] -= a.rate * (first_moment[i] * a.correction1) /
                    (__builtin_sqrtf(second_moment[i] * a.correction2) + a.epsilon);
    }
}

}  // namespace

extern const LearningKernels learning;
const LearningKernels learning = {decode,       decode_bfloat16,       table_gradient,
                                  nearest_step, straight_through_step, adam_step};

}  // namespace jlcm::JLCM_ISA
