#include "core/backend/cpu/learning_kernels.hpp"
#include "core/backend/cpu/vector_math.hpp"

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

/// The codes of the values nearest to u; of two at equal distance the lower one. At most `chunk` weights.
void nearest_codes(std::int64_t n, int codewords, const float* table, const float* u, std::uint8_t* codes) {
    std::int32_t count[chunk];
    for (std::int64_t i = 0; i < n; ++i) count[i] = 0;
    for (int k = 0; k + 1 < codewords; ++k) {
        const float threshold = 0.5F * (table[k] + table[k + 1]);
        for (std::int64_t i = 0; i < n; ++i) count[i] += u[i] > threshold ? 1 : 0;
    }
    for (std::int64_t i = 0; i < n; ++i) codes[i] = static_cast<std::uint8_t>(count[i]);
}

void nearest_step(std::int64_t n, int codewords, const float* table, const AdamStep* adam, float low,
                  float high, const float* gradient, float* latent, float* first_moment, float* second_moment,
                  std::uint8_t* codes, std::int64_t* jumps) {
    const AdamStep a = *adam;
    std::uint8_t next[chunk];
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
        }
        nearest_codes(size, codewords, table, u, next);
        count_jumps(size, codewords, next, codes + begin, jumps);
    }
}

void curvature_step(std::int64_t n, int codewords, const float* table, const CurvatureStep* step,
                    const float* gradient, const float* curvature, float* latent, float* first_moment,
                    std::uint8_t* codes, std::int64_t* jumps) {
    const CurvatureStep c = *step;
    float mean = 0;
#pragma omp simd reduction(+ : mean)
    for (std::int64_t i = 0; i < n; ++i) mean += curvature[i];
    const float floor = c.damping * mean / static_cast<float>(n) + 1e-30F;
    float wanted[chunk];
    std::uint8_t best[chunk];
    std::uint8_t next[chunk];
    for (std::int64_t begin = 0; begin < n; begin += chunk) {
        const std::int64_t size = n - begin < chunk ? n - begin : chunk;
        float* u = latent + begin;
        float* m = first_moment + begin;
        for (std::int64_t i = 0; i < size; ++i) {
            m[i] = c.beta1 * m[i] + (1.0F - c.beta1) * gradient[begin + i];
            wanted[i] = table[codes[begin + i]] - m[i] * c.correction1 / (curvature[begin + i] + floor);
        }
        nearest_codes(size, codewords, table, wanted, best);
        for (std::int64_t i = 0; i < size; ++i) {
            const float way = table[best[i]] - u[i];
            u[i] += way > c.trust ? c.trust : (way < -c.trust ? -c.trust : way);
        }
        nearest_codes(size, codewords, table, u, next);
        count_jumps(size, codewords, next, codes + begin, jumps);
    }
}

/// The gradient of each score of a weight over that of the weight: values[k] is codeword k in units of the
/// spacing, `present` a position among them.
template <ScoreRule rule>
[[gnu::always_inline]] inline void score_factors(int count, int present, const float* values,
                                                 const float* scores, float temperature, float* factors) {
    const float here = values[present];
    if constexpr (rule == ScoreRule::straight_through) {
        for (int k = 0; k < count; ++k) factors[k] = values[k];
    } else if constexpr (rule == ScoreRule::softmax) {
        float largest = scores[0];
        for (int k = 1; k < count; ++k) largest = scores[k] > largest ? scores[k] : largest;
        float total = 0;
        float mean = 0;
        for (int k = 0; k < count; ++k) {
            factors[k] = exponential((scores[k] - largest) / temperature);
            total += factors[k];
            mean += factors[k] * values[k];
        }
        mean /= total;
        for (int k = 0; k < count; ++k) factors[k] *= (values[k] - mean) / (total * temperature);
    } else {
        for (int k = 0; k < count; ++k) {
            const float d = values[k] - here;
            const float size = __builtin_fabsf(d);
            float phi = 0;
            if constexpr (rule == ScoreRule::inverse) phi = 1.0F / (size > 1e-3F ? size : 1e-3F);
            if constexpr (rule == ScoreRule::exponential) phi = exponential(-size / temperature);
            if constexpr (rule == ScoreRule::adjacent)
                phi = k - present == 1 || present - k == 1 ? 1.0F : 0.0F;
            factors[k] = d > 0 ? phi : (d < 0 ? -phi : 0.0F);
        }
    }
}

/// The best position: ties go to the present one, then to the nearest.
[[gnu::always_inline]] inline int best_score(int window, int present, int reach, const float* score) {
    int best = present;
    for (int distance = 1; distance <= reach; ++distance) {
        const int below = present - distance;
        const int above = present + distance;
        if (below >= 0 && score[below] > score[best]) best = below;
        if (above < window && score[above] > score[best]) best = above;
    }
    return best;
}

/// Moves what is kept by codeword to a window that begins `shift` codewords later; what comes in takes the
/// value of the codeword that it borders on.
[[gnu::always_inline]] inline void shift_window(int window, int shift, float* kept) {
    if (shift > 0) {
        for (int k = 0; k < window; ++k) kept[k] = kept[k + shift < window ? k + shift : window - 1];
    } else {
        for (int k = window - 1; k >= 0; --k) kept[k] = kept[k + shift >= 0 ? k + shift : 0];
    }
}

/// The fastest change of a score against the present codeword's, over the weight's gradient.
[[gnu::always_inline]] inline float fastest_change(int count, int present, const float* factors) {
    float largest = 0;
    for (int k = 0; k < count; ++k) {
        const float change = __builtin_fabsf(factors[k] - factors[present]);
        largest = change > largest ? change : largest;
    }
    return largest;
}

/// What a table has the same for all weights with one code: only softmax looks at scores.
struct TableFactors {
    static constexpr int size = 4096;
    float factors[size];
    float fastest[256];
};

/// `fixed`: the window where it is known at compile time, which unrolls all loops over it; 0: `given`.
template <ScoreRule rule, int fixed>
void score_stretch(std::int64_t n, int codewords, int given, const float* table, const ScoreStep& step,
                   const float* gradient, float* scores, float* first_moment, float* second_moment,
                   std::uint8_t* codes, std::int64_t* jumps) {
    const AdamStep a = step.adam;
    const int window = fixed > 0 ? fixed : given;
    const int reach = rule == ScoreRule::adjacent ? 1 : window - 1;
    const float gap = (table[codewords - 1] - table[0]) / static_cast<float>(codewords - 1);
    float values[256] = {};
    for (int k = 0; k < codewords; ++k) values[k] = gap > 0 ? table[k] / gap : 0.0F;
    const bool known = rule != ScoreRule::softmax && codewords * window <= TableFactors::size;
    TableFactors of_table;  // NOLINT: 17 kB that are filled where they are read
    for (int code = 0; known && code < codewords; ++code) {
        const int begin = Scores::window_begin(code, codewords, window);
        float* factors = of_table.factors + code * window;
        score_factors<rule>(window, code - begin, values + begin, scores, step.temperature, factors);
        of_table.fastest[code] = fastest_change(window, code - begin, factors);
    }
    float computed[256] = {};
    for (std::int64_t i = 0; i < n; ++i) {
        const float g = gradient[i];
        const int begin = Scores::window_begin(codes[i], codewords, window);
        const int present = codes[i] - begin;
        float* score = scores + i * window;
        float* m = first_moment + i * window;
        if (!known) score_factors<rule>(window, present, values + begin, score, step.temperature, computed);
        const float* factors = known ? of_table.factors + codes[i] * window : computed;
        if (step.second_moment == SecondMoment::score) {
            float* v = second_moment + i * window;
            for (int k = 0; k < window; ++k) {
                const float slope = g * factors[k];
                m[k] = a.beta1 * m[k] + (1.0F - a.beta1) * slope;
                v[k] = a.beta2 * v[k] + (1.0F - a.beta2) * slope * slope;
                score[k] -=
                    a.rate * a.correction1 * m[k] / (__builtin_sqrtf(v[k] * a.correction2) + a.epsilon);
            }
        } else {
            float root = step.unit;
            if (step.second_moment == SecondMoment::weight) {
                const float largest =
                    known ? of_table.fastest[codes[i]] : fastest_change(window, present, factors);
                float& v = second_moment[i];
                v = a.beta2 * v + (1.0F - a.beta2) * g * g * largest * largest;
                root = __builtin_sqrtf(v * a.correction2);
            }
            const float scale = a.rate * a.correction1 / (root + a.epsilon);
#pragma omp simd
            for (int k = 0; k < window; ++k) {
                m[k] = a.beta1 * m[k] + (1.0F - a.beta1) * g * factors[k];
                score[k] -= scale * m[k];
            }
        }
        const int best = best_score(window, present, reach, score);
        if (best == present) continue;
        ++jumps[(best > present ? best - present : present - best) - 1];
        codes[i] = static_cast<std::uint8_t>(begin + best);
        const int shift = Scores::window_begin(codes[i], codewords, window) - begin;
        if (shift == 0) continue;
        const float top = score[best];
        shift_window(window, shift, score);
        for (int k = 0; k < window; ++k)
            if (k + shift < 0 || k + shift >= window)
                score[k] = top - 0.5F * __builtin_fabsf(static_cast<float>(k + shift - best));
        shift_window(window, shift, m);
        if (step.second_moment == SecondMoment::score)
            shift_window(window, shift, second_moment + i * window);
    }
}

void score_step(std::int64_t n, int codewords, int window, const float* table, const ScoreStep* step,
                const float* gradient, float* scores, float* first_moment, float* second_moment,
                std::uint8_t* codes, std::int64_t* jumps) {
    const auto run = [&]<ScoreRule rule>() {
        const auto stretch = window == 4 ? score_stretch<rule, 4> : score_stretch<rule, 0>;
        stretch(n, codewords, window, table, *step, gradient, scores, first_moment, second_moment, codes,
                jumps);
    };
    switch (step->rule) {
        case ScoreRule::straight_through:
            return run.template operator()<ScoreRule::straight_through>();
        case ScoreRule::softmax:
            return run.template operator()<ScoreRule::softmax>();
        case ScoreRule::inverse:
            return run.template operator()<ScoreRule::inverse>();
        case ScoreRule::exponential:
            return run.template operator()<ScoreRule::exponential>();
        case ScoreRule::adjacent:
            return run.template operator()<ScoreRule::adjacent>();
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
const LearningKernels learning = {decode,         decode_bfloat16, table_gradient, nearest_step,
                                  curvature_step, score_step,      adam_step};

}  // namespace jlcm::JLCM_ISA
