#pragma once
// The kernel of estimators with a score per candidate, for isa_*.cpp only: hence in namespace JLCM_ISA. A
// rule says how a candidate's score follows the gradient g of its weight, dL/da_k = g f_k:
//
//     struct StraightThrough {
//         static constexpr bool reads_scores = false;     // whether f depends on the scores
//         static constexpr bool neighbours_only = false;  // whether a weight jumps by one codeword at most
//         /// values[k]: codeword k in units of the spacing; present: the position of the weight's among them;
//         /// distances[k]: how far they are apart (null if f depends on the scores). Of vectors (jumps of any
//         /// length) values are what they are along the gradient, times its size, and g is 1.
//         static void factors(int count, int present, const float* values, const float* distances,
//                             const float* scores, float temperature, float* factors);
//     };
//     extern const ScoreKernels straight_through;
//     const ScoreKernels straight_through{step_scores<StraightThrough>, step_vector_scores<StraightThrough>};

#include "core/learn/score_step.hpp"

#include <cstdint>

namespace jlcm::JLCM_ISA {

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

/// Factors that all weights with one code share, if the rule does not look at scores and scores move.
struct TableFactors {
    static constexpr int size = 4096;
    float factors[size];
    float fastest[256];
};

/// What is kept of a weight's scores.
struct KeptScores {
    float* score;
    float* first_moment;
    float* second_moment;  ///< of each score, or null
};

/// A step of the scores of a weight, whose gradient is g. `second_moment`: as ScoreStep says, or null.
[[gnu::always_inline]] inline void move_scores(int window, float g, const float* factors, float fastest,
                                               const ScoreStep& step, float* score, float* m,
                                               float* second_moment) {
    const AdamStep& a = step.adam;
    if (step.second_moment == SecondMoment::score) {
        for (int k = 0; k < window; ++k) {
            const float slope = g * factors[k];
            m[k] = a.beta1 * m[k] + (1.0F - a.beta1) * slope;
            second_moment[k] = a.beta2 * second_moment[k] + (1.0F - a.beta2) * slope * slope;
            score[k] -= a.rate * a.correction1 * m[k] /
                        (__builtin_sqrtf(second_moment[k] * a.correction2) + a.epsilon);
        }
        return;
    }
    float root = step.unit;
    if (step.second_moment == SecondMoment::weight) {
        float& v = *second_moment;
        v = a.beta2 * v + (1.0F - a.beta2) * g * g * fastest * fastest;
        root = __builtin_sqrtf(v * a.correction2);
    }
    const float scale = a.rate * a.correction1 / (root + a.epsilon);
#pragma omp simd
    for (int k = 0; k < window; ++k) {
        m[k] = a.beta1 * m[k] + (1.0F - a.beta1) * g * factors[k];
        score[k] -= scale * m[k];
    }
}

/// How far the present codeword is from each, in one dimension.
[[gnu::always_inline]] inline void distances_of_numbers(int count, int present, const float* values,
                                                        float* distances) {
    for (int k = 0; k < count; ++k) distances[k] = __builtin_fabsf(values[k] - values[present]);
}

/// Moves the window to that of the codeword at `best`, whose score is `top`; what comes in starts half a
/// unit a codeword below.
[[gnu::always_inline]] inline void move_window(int window, int shift, int best, const KeptScores& kept) {
    const float top = kept.score[best];
    shift_window(window, shift, kept.score);
    for (int k = 0; k < window; ++k)
        if (k + shift < 0 || k + shift >= window)
            kept.score[k] = top - score_of_a_codeword * __builtin_fabsf(static_cast<float>(k + shift - best));
    shift_window(window, shift, kept.first_moment);
    if (kept.second_moment != nullptr) shift_window(window, shift, kept.second_moment);
}

/// `fixed`: the window if it is known at compile time, which unrolls all loops over it; 0: `given`.
template <class Rule, int fixed>
void step_scores_of_window(std::int64_t n, int codewords, int given, const float* table, const ScoreStep step,
                           const float* gradient, float* scores, float* first_moment, float* second_moment,
                           float* leads, std::uint8_t* codes, std::int64_t* jumps) {
    const int window = fixed > 0 ? fixed : given;
    const int reach = Rule::neighbours_only ? 1 : window - 1;
    const float gap = (table[codewords - 1] - table[0]) / static_cast<float>(codewords - 1);
    float values[256] = {};
    for (int k = 0; k < codewords; ++k) values[k] = gap > 0 ? table[k] / gap : 0.0F;
    const bool known =
        step.phase != ScorePhase::codes && !Rule::reads_scores && codewords * window <= TableFactors::size;
    TableFactors of_table;  // NOLINT: 17 kB that are filled where they are read
    for (int code = 0; known && code < codewords; ++code) {
        const int begin = score_window_begin(code, codewords, window);
        float* factors = of_table.factors + code * window;
        float distances[256];
        distances_of_numbers(window, code - begin, values + begin, distances);
        Rule::factors(window, code - begin, values + begin, distances, scores, step.temperature, factors);
        of_table.fastest[code] = fastest_change(window, code - begin, factors);
    }
    float computed[256] = {};
    for (std::int64_t i = 0; i < n; ++i) {
        const float g = gradient[i];
        const int begin = score_window_begin(codes[i], codewords, window);
        const int present = codes[i] - begin;
        float* score = scores + i * window;
        float* m = first_moment + i * window;
        if (step.phase != ScorePhase::codes) {
            if (!known) {
                float distances[256];
                if (!Rule::reads_scores) distances_of_numbers(window, present, values + begin, distances);
                Rule::factors(window, present, values + begin, distances, score, step.temperature, computed);
            }
            const float* factors = known ? of_table.factors + codes[i] * window : computed;
            const float fastest = step.second_moment != SecondMoment::weight ? 0.0F
                                  : known                                    ? of_table.fastest[codes[i]]
                                          : fastest_change(window, present, factors);
            float* second =
                second_moment == nullptr
                    ? nullptr
                    : second_moment + (step.second_moment == SecondMoment::score ? i * window : i);
            move_scores(window, g, factors, fastest, step, score, m, second);
        }
        const int best = best_score(window, present, reach, score);
        if (step.phase == ScorePhase::scores) leads[i] = score[best] - score[present];
        if (step.phase == ScorePhase::scores || (step.phase == ScorePhase::codes && leads[i] == 0)) continue;
        if (best == present) continue;
        ++jumps[(best > present ? best - present : present - best) - 1];
        codes[i] = static_cast<std::uint8_t>(begin + best);
        const int shift = score_window_begin(codes[i], codewords, window) - begin;
        if (shift != 0)
            move_window(
                window, shift, best,
                {score, m, step.second_moment == SecondMoment::score ? second_moment + i * window : nullptr});
    }
}

template <class Rule>
void step_scores(std::int64_t n, int codewords, int window, const float* table, const ScoreStep* step,
                 const float* gradient, float* scores, float* first_moment, float* second_moment,
                 float* leads, std::uint8_t* codes, std::int64_t* jumps) {
    const auto stepped = window == 4 ? step_scores_of_window<Rule, 4> : step_scores_of_window<Rule, 0>;
    stepped(n, codewords, window, table, *step, gradient, scores, first_moment, second_moment, leads, codes,
            jumps);
}

}  // namespace jlcm::JLCM_ISA
