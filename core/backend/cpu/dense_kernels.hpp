#pragma once
// Single-threaded kernels on ranges of elements or rows, for float and double.

#include "core/backend/cpu/isa.hpp"

#include <cstdint>

namespace jlcm {

/// What one pass over a row of logits leaves behind; passes over parts of a row merge.
struct LogitSums {
    float maximum = -3.0e38F;   ///< largest logit so far
    double exponentials = 0.0;  ///< sum of exp(logit - maximum)
    std::int64_t best = -1;     ///< position of the largest logit (the first one)
};

template <class T>
struct DenseKernels {
    void (*add_scaled)(std::int64_t n, const T* x, T factor, T* y);
    double (*sum_of_squares)(std::int64_t n, const T* x);
    /// gradient = 2 factor (a - b); returns sum (a - b)^2
    double (*squared_error)(std::int64_t n, const T* a, const T* b, T factor, T* gradient);

    /// `function`: the value of enum Unary / Binary (core/backend/backend.hpp); p, q: its constants a, b.
    void (*unary)(int function, T p, T q, std::int64_t n, const T* x, T* y);
    void (*unary_backward)(int function, T p, T q, std::int64_t n, const T* x, const T* gradient, T* dx);
    void (*binary)(int function, std::int64_t n, const T* a, const T* b, T* y);
    void (*binary_backward)(int function, std::int64_t n, const T* a, const T* b, const T* gradient, T* da,
                            T* db);

    void (*rms_norm)(std::int64_t rows, std::int64_t cols, const T* x, const T* weight, T epsilon, T* y,
                     T* inverse_rms);
    /// `weight_gradient` (or null) receives the sum over these rows.
    void (*rms_norm_backward)(std::int64_t rows, std::int64_t cols, const T* x, const T* weight,
                              const T* inverse_rms, const T* gradient, T* dx, T* weight_gradient);
    /// Rows are positions first, first + 1, ... modulo `length` of x [.., heads, head_dim]; of each head `half`
    /// pairs turn.
    void (*rotary)(std::int64_t first, std::int64_t rows, std::int64_t length, std::int64_t heads,
                   std::int64_t head_dim, std::int64_t half, const T* x, const T* cosine, const T* sine,
                   T direction, T* y);

    /// probabilities = softmax(scale * scores[0 .. valid)), zero up to `total`; returns log(sum exp(scale *
    /// scores)).
    T (*softmax)(std::int64_t valid, std::int64_t total, T scale, const T* scores, T* probabilities);
    /// probabilities = exp(scale * scores - log_sum) for [0, valid), zero up to `total`.
    void (*softmax_again)(std::int64_t valid, std::int64_t total, T scale, T log_sum, const T* scores,
                          T* probabilities);
    /// scores_gradient = scale * probabilities * (probability_gradient - shift)
    void (*softmax_backward)(std::int64_t n, T scale, T shift, const T* probabilities,
                             const T* probability_gradient, T* scores_gradient);
    double (*dot)(std::int64_t n, const T* a, const T* b);
    /// y += a b
    void (*multiply_add)(std::int64_t n, const T* a, const T* b, T* y);
    /// Rows less their mean over their deviation; and the gradient of x.
    void (*normalise)(std::int64_t rows, std::int64_t cols, double epsilon, const T* x, T* y,
                      T* inverse_deviation);
    void (*normalise_backward)(std::int64_t rows, std::int64_t cols, const T* y, const T* inverse_deviation,
                               const T* gradient, T* dx);
    /// y = x scale + shift
    void (*scale_and_shift)(std::int64_t n, const T* x, const T* scale, const T* shift, T* y);
};

/// Kernels that exist for float only.
struct VocabularyKernels {
    /// Adds a part of a row of logits, whose first element has position `first`.
    void (*add_logits)(std::int64_t n, std::int64_t first, const float* logits, LogitSums* sums);
    /// The same for a reference row and the model's row at once; `difference` is
    /// sum exp(reference - reference.maximum) (reference - model), kept with the same running maximum.
    void (*add_logit_pair)(std::int64_t n, std::int64_t first, const float* reference, const float* model,
                           LogitSums* reference_sums, LogitSums* model_sums, double* difference);
    /// gradient = factor * (exp(model - model_log_sum) - exp(reference - reference_log_sum)), in place over
    /// `model`.
    void (*kl_gradient)(std::int64_t n, const float* reference, float reference_log_sum, float* model,
                        float model_log_sum, float factor);
    /// logits = factor * exp(logits - log_sum), in place: factor times the probabilities.
    void (*probabilities)(std::int64_t n, float log_sum, float factor, float* logits);
    void (*to_bfloat16)(std::int64_t n, const float* x, std::uint16_t* y);
    void (*from_bfloat16)(std::int64_t n, const std::uint16_t* x, float* y);
};

template <class T>
[[nodiscard]] const DenseKernels<T>& dense_kernels();
[[nodiscard]] const VocabularyKernels& vocabulary_kernels();

}  // namespace jlcm
