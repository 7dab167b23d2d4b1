#pragma once
// One step of the scores of a segment's weights; plain data, since kernels of every instruction set read it.

#include "core/backend/backend.hpp"

#include <cstdint>

namespace jlcm {

/// The divisor of a score's step.
enum class SecondMoment : std::uint8_t {
    weight,  ///< one running mean per weight, of the square of the largest change of a score against the
             ///< present
    score,   ///< one for each score: Adam element by element
    none     ///< a constant: gradient descent with momentum
};

/// What of a step is done: under a cap, which looks at all weights of a matrix, codes change later than
/// scores.
enum class ScorePhase : std::uint8_t {
    whole,   ///< scores move, and codes follow
    scores,  ///< scores move; leads say how far ahead of the present codeword's the best score is
    codes    ///< codes follow if their lead is above 0
};

struct ScoreStep {
    SecondMoment second_moment = SecondMoment::weight;
    AdamStep adam;
    float temperature = 1;  ///< T of the rule
    float unit = 1;         ///< the constant of SecondMoment::none
    ScorePhase phase = ScorePhase::whole;
};

/// How far a neighbour's score is behind for a weight on its codeword, in spacings.
inline constexpr float score_of_a_codeword = 0.5F;

/// First codeword of the window of a weight with this code: `window` (at most K) consecutive codewords, the
/// present one in the middle if the codebook's ends allow. Inlined, since kernels of every instruction set
/// use it.
[[nodiscard, gnu::always_inline]] constexpr int score_window_begin(int code, int codewords, int window) {
    const int begin = code - window / 2;
    return begin < 0 ? 0 : (begin > codewords - window ? codewords - window : begin);
}

/// What scores of a stage of vectors look at.
struct VectorScores {
    int dimension = 1;
    int window = 1;
    const float* codebook = nullptr;           ///< [K, dimension]
    const std::uint8_t* neighbours = nullptr;  ///< [K, window]: the candidates of a weight on a codeword, the
                                               ///< nearest first, which is that codeword
    const float* distances = nullptr;          ///< [K, window]: how far they are away, in spacings
    float spacing = 0;
};

/// Moves the scores of each of n weights by the gradient that a rule gives them, then takes the code with
/// the largest score (ties: the present one, then the nearest) and moves the window along. What comes into
/// a window starts half a unit a codeword below the present one, with the moments of its border. scores,
/// first_moment [n, window]; second_moment [n], [n, window] or null; leads [n], null for a whole step.
/// jumps[j] += codes that moved by j + 1. core/learn/score_kernel.hpp makes one of a rule.
using ScoreKernel = void (*)(std::int64_t n, int codewords, int window, const float* table,
                             const ScoreStep* step, const float* gradient, float* scores, float* first_moment,
                             float* second_moment, float* leads, std::uint8_t* codes, std::int64_t* jumps);

/// The same for n vectors of a row with this scale. What comes into a window starts half its distance below
/// the present codeword, with the moments of that. jumps[j] += codes that moved to the j + 1-th candidate
/// after the present one. core/learn/vector_score_kernel.hpp makes one of a rule.
using VectorScoreKernel = void (*)(std::int64_t n, const VectorScores* stage, float scale,
                                   const ScoreStep* step, const float* gradient, float* scores,
                                   float* first_moment, float* second_moment, float* leads,
                                   std::uint8_t* codes, std::int64_t* jumps);

/// Those of a rule.
struct ScoreKernels {
    ScoreKernel numbers;
    VectorScoreKernel vectors;
};

}  // namespace jlcm
