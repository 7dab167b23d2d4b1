#pragma once
// The kernel of estimators with a score per candidate, where candidates are vectors, for isa_*.cpp only: hence
// in namespace JLCM_ISA. Rules are those of score_kernel.hpp: what a codeword is along the gradient stands for
// the values.

#include "core/learn/score_kernel.hpp"

namespace jlcm::JLCM_ISA {

/// The window of the codeword at `best`: what both windows hold keeps its score and moments; what comes in
/// starts half its distance below, with the moments of that codeword.
inline void move_vector_window(const VectorScores& stage, int code, int best, const KeptScores& kept) {
    const int window = stage.window;
    const std::uint8_t* former = stage.neighbours + code * window;
    const int next = former[best];
    float values[3][256];
    const KeptScores moved{values[0], values[1], values[2]};
    for (int k = 0; k < window; ++k) {
        const int word = stage.neighbours[next * window + k];
        int from = 0;
        while (from < window && former[from] != word) ++from;
        const bool known = from < window;
        const int like = known ? from : best;
        moved.score[k] = kept.score[like];
        if (!known) moved.score[k] -= score_of_a_codeword * stage.distances[next * window + k];
        moved.first_moment[k] = kept.first_moment[like];
        if (kept.second_moment != nullptr) moved.second_moment[k] = kept.second_moment[like];
    }
    for (int k = 0; k < window; ++k) {
        kept.score[k] = moved.score[k];
        kept.first_moment[k] = moved.first_moment[k];
        if (kept.second_moment != nullptr) kept.second_moment[k] = moved.second_moment[k];
    }
}

template <class Rule>
void step_vector_scores(std::int64_t n, const VectorScores* scored, float scale, const ScoreStep* given,
                        const float* gradient, float* scores, float* first_moment, float* second_moment,
                        float* leads, std::uint8_t* codes, std::int64_t* jumps) {
    const VectorScores stage = *scored;
    const ScoreStep step = *given;
    const int window = stage.window;
    const int d = stage.dimension;
    const float unit = stage.spacing > 0 ? scale / stage.spacing : 0.0F;
    const bool by_score = step.second_moment == SecondMoment::score;
    float values[256];
    float factors[256];
    for (std::int64_t i = 0; i < n; ++i) {
        const std::uint8_t* near = stage.neighbours + codes[i] * window;
        float* second = second_moment != nullptr ? second_moment + i * (by_score ? window : 1) : nullptr;
        const KeptScores kept{scores + i * window, first_moment + i * window, second};
        if (step.phase != ScorePhase::codes) {
            for (int k = 0; k < window; ++k) {
                const float* codeword = stage.codebook + near[k] * d;
                float along = 0;
                for (int e = 0; e < d; ++e) along += gradient[i * d + e] * codeword[e];
                values[k] = unit * along;
            }
            Rule::factors(window, 0, values, stage.distances + codes[i] * window, kept.score,
                          step.temperature, factors);
            move_scores(window, 1.0F, factors, fastest_change(window, 0, factors), step, kept.score,
                        kept.first_moment, second);
        }
        const int best = best_score(window, 0, window - 1, kept.score);
        if (step.phase == ScorePhase::scores) leads[i] = kept.score[best] - kept.score[0];
        if (step.phase == ScorePhase::scores || (step.phase == ScorePhase::codes && leads[i] == 0)) continue;
        if (best == 0) continue;
        ++jumps[best - 1];
        move_vector_window(stage, codes[i], best,
                           {kept.score, kept.first_moment, by_score ? second : nullptr});
        codes[i] = near[best];
    }
}

}  // namespace jlcm::JLCM_ISA
