#include "core/backend/cpu/dense_kernels.hpp"
#include "core/backend/cpu/vector_math.hpp"
#include "core/backend/functions.hpp"

namespace jlcm::JLCM_ISA {
namespace {

template <class T>
void add_scaled(std::int64_t n, const T* x, T factor, T* y) {
    for (std::int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

template <class T>
double dot(std::int64_t n, const T* a, const T* b) {
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i) total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return total;
}

template <class T>
double sum_of_squares(std::int64_t n, const T* x) {
    return dot(n, x, x);
}

template <class T>
double squared_error(std::int64_t n, const T* a, const T* b, T factor, T* gradient) {
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i) {
        const T difference = a[i] - b[i];
        gradient[i] = T(2) * factor * difference;
        total += static_cast<double>(difference) * static_cast<double>(difference);
    }
    return total;
}

template <class T>
T silu_slope(T x) {
    const T s = sigmoid(x);
    return s * (T(1) + x * (T(1) - s));
}

// gelu(x) = x Phi(x), the exact form.
template <class T>
T normal_cdf(T x) {
    return T(0.5) * (T(1) + static_cast<T>(__builtin_erf(static_cast<double>(x) * 0.70710678118654752440)));
}
template <class T>
T normal_density(T x) {
    return T(0.39894228040143267794) * exponential(T(-0.5) * x * x);
}

// (1 + tanh(u)) / 2 = sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class T>
T gelu_tanh_gate(T x) {
    return sigmoid(T(1.59576912160573071176) * x * (T(1) + T(0.044715) * x * x));
}

template <class T>
T clipped(T x, T low, T high) {
    // NaN stays NaN.
    const T above = x < low ? low : x;
    return above > high ? high : above;
}

template <class T, class Function>
[[gnu::always_inline]] inline void each(std::int64_t n, const T* x, T* y, Function function) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = function(x[i]);
}

template <class T>
void unary(int function, T p, T q, std::int64_t n, const T* x, T* y) {
    switch (static_cast<Unary>(function)) {
        case Unary::silu:
            return each(n, x, y, [](T v) { return v * sigmoid(v); });
        case Unary::relu:
            return each(n, x, y, [](T v) { return v < T(0) ? T(0) : v; });
        case Unary::gelu:
            return each(n, x, y, [](T v) { return v * normal_cdf(v); });
        case Unary::tanh:
            return each(n, x, y, [](T v) { return T(2) * sigmoid(T(2) * v) - T(1); });
        case Unary::sigmoid:
            return each(n, x, y, [](T v) { return sigmoid(v); });
        case Unary::clip:
            return each(n, x, y, [p, q](T v) { return clipped(v, p, q); });
        case Unary::leaky_relu:
            return each(n, x, y, [p](T v) { return v < T(0) ? p * v : v; });
        case Unary::hard_sigmoid:
            return each(n, x, y, [p, q](T v) { return clipped(p * v + q, T(0), T(1)); });
        case Unary::hard_swish:
            return each(n, x, y, [](T v) { return v * clipped(v / T(6) + T(0.5), T(0), T(1)); });
        case Unary::elu:
            return each(n, x, y, [p](T v) { return v < T(0) ? p * (exponential(v) - T(1)) : v; });
        case Unary::softplus:
            return each(n, x, y, [](T v) {
                const T e = exponential(v < T(0) ? v : -v);
                return (v > T(0) ? v : T(0)) + static_cast<T>(__builtin_log1p(static_cast<double>(e)));
            });
        case Unary::affine:
            return each(n, x, y, [p, q](T v) { return p * v + q; });
        case Unary::power:
            return each(n, x, y, [p](T v) {
                return static_cast<T>(__builtin_pow(static_cast<double>(v), static_cast<double>(p)));
            });
        case Unary::exponential:
            return each(n, x, y, [](T v) { return exponential(v); });
        case Unary::logarithm:
            return each(n, x, y, [](T v) { return static_cast<T>(__builtin_log(static_cast<double>(v))); });
        case Unary::absolute:
            return each(n, x, y, [](T v) { return v < T(0) ? -v : v; });
        case Unary::erf:
            return each(n, x, y, [](T v) { return static_cast<T>(__builtin_erf(static_cast<double>(v))); });
        case Unary::gelu_tanh:
            return each(n, x, y, [](T v) { return v * gelu_tanh_gate(v); });
        case Unary::soft_cap:
            return each(n, x, y, [p](T v) { return p * (T(2) * sigmoid(T(2) / p * v) - T(1)); });
    }
}

template <class T, class Slope>
[[gnu::always_inline]] inline void each_slope(std::int64_t n, const T* x, const T* gradient, T* dx,
                                              Slope slope) {
    for (std::int64_t i = 0; i < n; ++i) dx[i] = gradient[i] * slope(x[i]);
}

template <class T>
void unary_backward(int function, T p, T q, std::int64_t n, const T* x, const T* gradient, T* dx) {
    const auto with = [&](auto slope) { each_slope(n, x, gradient, dx, slope); };
    switch (static_cast<Unary>(function)) {
        case Unary::silu:
            return with([](T v) { return silu_slope(v); });
        case Unary::relu:
            for (std::int64_t i = 0; i < n; ++i) dx[i] = x[i] > T(0) ? gradient[i] : T(0);
            return;
        case Unary::gelu:
            return with([](T v) { return normal_cdf(v) + v * normal_density(v); });
        case Unary::tanh:
            return with([](T v) {
                const T t = T(2) * sigmoid(T(2) * v) - T(1);
                return T(1) - t * t;
            });
        case Unary::sigmoid:
            return with([](T v) {
                const T s = sigmoid(v);
                return s * (T(1) - s);
            });
        case Unary::clip:
            return with([p, q](T v) { return v > p && v < q ? T(1) : T(0); });
        case Unary::leaky_relu:
            return with([p](T v) { return v < T(0) ? p : T(1); });
        case Unary::hard_sigmoid:
            return with([p, q](T v) { return p * v + q > T(0) && p * v + q < T(1) ? p : T(0); });
        case Unary::hard_swish:
            return with([](T v) { return v <= T(-3) ? T(0) : (v >= T(3) ? T(1) : v / T(3) + T(0.5)); });
        case Unary::elu:
            return with([p](T v) { return v < T(0) ? p * exponential(v) : T(1); });
        case Unary::softplus:
            return with([](T v) { return sigmoid(v); });
        case Unary::affine:
            return with([p](T) { return p; });
        case Unary::power:
            return with([p](T v) {
                const double exponent = static_cast<double>(p);
                return static_cast<T>(exponent * __builtin_pow(static_cast<double>(v), exponent - 1.0));
            });
        case Unary::exponential:
            return with([](T v) { return exponential(v); });
        case Unary::logarithm:
            return with([](T v) { return T(1) / v; });
        case Unary::absolute:
            return with([](T v) { return v < T(0) ? T(-1) : (v > T(0) ? T(1) : T(0)); });
        case Unary::erf:
            return with([](T v) { return T(1.12837916709551257390) * exponential(-v * v); });
        case Unary::gelu_tanh:
            return with([](T v) {
                const T gate = gelu_tanh_gate(v);
                const T slope = T(1.59576912160573071176) * (T(1) + T(3 * 0.044715) * v * v);
                return gate * (T(1) + v * (T(1) - gate) * slope);
            });
        case Unary::soft_cap:
            return with([p](T v) {
                const T t = T(2) * sigmoid(T(2) / p * v) - T(1);
                return T(1) - t * t;
            });
    }
}

template <class T>
void binary(int function, std::int64_t n, const T* a, const T* b, T* y) {
    const auto with = [&](auto of) {
        for (std::int64_t i = 0; i < n; ++i) y[i] = of(a[i], b[i]);
    };
    switch (static_cast<Binary>(function)) {
        case Binary::add:
            return with([](T u, T v) { return u + v; });
        case Binary::multiply:
            return with([](T u, T v) { return u * v; });
        case Binary::silu_multiply:
            return with([](T u, T v) { return u * sigmoid(u) * v; });
        case Binary::subtract:
            return with([](T u, T v) { return u - v; });
        case Binary::divide:
            return with([](T u, T v) { return u / v; });
        // Of NaN and a number both are NaN.
        // NOLINTBEGIN(misc-redundant-expression): v differs from itself if it is NaN
        case Binary::minimum:
            return with([](T u, T v) { return v < u || v != v ? v : u; });
        case Binary::maximum:
            return with([](T u, T v) { return v > u || v != v ? v : u; });
            // NOLINTEND(misc-redundant-expression)
    }
}

template <class T>
void binary_backward(int function, std::int64_t n, const T* a, const T* b, const T* gradient, T* da, T* db) {
    const auto with = [&](auto of_a, auto of_b) {
        for (std::int64_t i = 0; i < n; ++i) {
            da[i] = gradient[i] * of_a(a[i], b[i]);
            db[i] = gradient[i] * of_b(a[i], b[i]);
        }
    };
    const auto one = [](T, T) { return T(1); };
    switch (static_cast<Binary>(function)) {
        case Binary::add:
            return with(one, one);
        case Binary::multiply:
            return with([](T, T v) { return v; }, [](T u, T) { return u; });
        case Binary::silu_multiply:
            return with([](T u, T v) { return v * silu_slope(u); }, [](T u, T) { return u * sigmoid(u); });
        case Binary::subtract:
            return with(one, [](T, T) { return T(-1); });
        case Binary::divide:
            return with([](T, T v) { return T(1) / v; }, [](T u, T v) { return -u / (v * v); });
        case Binary::minimum:
            return with([](T u, T v) { return v < u ? T(0) : T(1); },
                        [](T u, T v) { return v < u ? T(1) : T(0); });
        case Binary::maximum:
            return with([](T u, T v) { return v > u ? T(0) : T(1); },
                        [](T u, T v) { return v > u ? T(1) : T(0); });
    }
}

template <class T>
void rms_norm(std::int64_t rows, std::int64_t cols, const T* x, const T* weight, T epsilon, T* y,
              T* inverse_rms) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const T* row = x + r * cols;
        T* out = y + r * cols;
        const double mean = sum_of_squares(cols, row) / static_cast<double>(cols);
        const T inverse = static_cast<T>(1.0 / __builtin_sqrt(mean + static_cast<double>(epsilon)));
        inverse_rms[r] = inverse;
        for (std::int64_t i = 0; i < cols; ++i) out[i] = row[i] * inverse * weight[i];
    }
}

// y = x r w with r = (mean x^2 + e)^-1/2:  dx = r (g w - x r^2 mean(g w x)),  dw = sum over rows of g x r.
template <class T>
void rms_norm_backward(std::int64_t rows, std::int64_t cols, const T* x, const T* weight,
                       const T* inverse_rms, const T* gradient, T* dx, T* weight_gradient) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const T* row = x + r * cols;
        const T* g = gradient + r * cols;
        T* out = dx + r * cols;
        const T inverse = inverse_rms[r];
        double projection = 0;
#pragma omp simd reduction(+ : projection)
        for (std::int64_t i = 0; i < cols; ++i)
            projection +=
                static_cast<double>(g[i]) * static_cast<double>(weight[i]) * static_cast<double>(row[i]);
        const T share = static_cast<T>(projection / static_cast<double>(cols)) * inverse * inverse;
        for (std::int64_t i = 0; i < cols; ++i) out[i] = inverse * (g[i] * weight[i] - row[i] * share);
        if (weight_gradient != nullptr)
            for (std::int64_t i = 0; i < cols; ++i) weight_gradient[i] += g[i] * row[i] * inverse;
    }
}

template <class T>
void rotary(std::int64_t first, std::int64_t rows, std::int64_t length, std::int64_t heads,
            std::int64_t head_dim, std::int64_t half, const T* x, const T* cosine, const T* sine, T direction,
            T* y) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t position = (first + r) % length;
        const T* c = cosine + position * half;
        const T* s = sine + position * half;
        for (std::int64_t h = 0; h < heads; ++h) {
            const T* in = x + (r * heads + h) * head_dim;
            T* out = y + (r * heads + h) * head_dim;
#pragma omp simd
            for (std::int64_t i = 0; i < half; ++i) {
                const T a = in[i];
                const T b = in[i + half];
                out[i] = a * c[i] - direction * b * s[i];
                out[i + half] = b * c[i] + direction * a * s[i];
            }
            for (std::int64_t i = 2 * half; i < head_dim; ++i) out[i] = in[i];
        }
    }
}

template <class T>
T softmax(std::int64_t valid, std::int64_t total, T scale, const T* scores, T* probabilities) {
    T maximum = scores[0];
#pragma omp simd reduction(max : maximum)
    for (std::int64_t i = 0; i < valid; ++i) maximum = scores[i] > maximum ? scores[i] : maximum;
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < valid; ++i) {
        const T e = exponential(scale * (scores[i] - maximum));
        probabilities[i] = e;
        sum += e;
    }
    const T inverse = T(1) / sum;
    for (std::int64_t i = 0; i < valid; ++i) probabilities[i] *= inverse;
    for (std::int64_t i = valid; i < total; ++i) probabilities[i] = T(0);
    return scale * maximum + static_cast<T>(__builtin_log(static_cast<double>(sum)));
}

template <class T>
void softmax_again(std::int64_t valid, std::int64_t total, T scale, T log_sum, const T* scores,
                   T* probabilities) {
    for (std::int64_t i = 0; i < valid; ++i) probabilities[i] = exponential(scale * scores[i] - log_sum);
    for (std::int64_t i = valid; i < total; ++i) probabilities[i] = T(0);
}

template <class T>
void softmax_backward(std::int64_t n, T scale, T shift, const T* probabilities, const T* probability_gradient,
                      T* scores_gradient) {
    for (std::int64_t i = 0; i < n; ++i)
        scores_gradient[i] = scale * probabilities[i] * (probability_gradient[i] - shift);
}

void raise_maximum(LogitSums* sums, float maximum) {
    if (maximum <= sums->maximum) return;
    sums->exponentials *= __builtin_exp(static_cast<double>(sums->maximum) - static_cast<double>(maximum));
    sums->maximum = maximum;
}

float largest(std::int64_t n, const float* x) {
    float maximum = x[0];
#pragma omp simd reduction(max : maximum)
    for (std::int64_t i = 0; i < n; ++i) maximum = x[i] > maximum ? x[i] : maximum;
    return maximum;
}

void note_best(std::int64_t n, std::int64_t first, const float* logits, float maximum, LogitSums* sums) {
    if (sums->best >= 0 && maximum <= sums->maximum) return;
    for (std::int64_t i = 0; i < n; ++i)
        if (logits[i] == maximum) {
            sums->best = first + i;
            return;
        }
}

void add_logits(std::int64_t n, std::int64_t first, const float* logits, LogitSums* sums) {
    const float maximum = largest(n, logits);
    note_best(n, first, logits, maximum, sums);
    raise_maximum(sums, maximum);
    const float shift = sums->maximum;
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i) total += exponential(logits[i] - shift);
    sums->exponentials += static_cast<double>(total);
}

void add_logit_pair(std::int64_t n, std::int64_t first, const float* reference, const float* model,
                    LogitSums* reference_sums, LogitSums* model_sums, double* difference) {
    add_logits(n, first, model, model_sums);
    const float maximum = largest(n, reference);
    note_best(n, first, reference, maximum, reference_sums);
    const float before = reference_sums->maximum;
    raise_maximum(reference_sums, maximum);
    const float shift = reference_sums->maximum;
    if (shift > before)
        *difference *= __builtin_exp(static_cast<double>(before) - static_cast<double>(shift));
    float total = 0;
    float weighted = 0;
#pragma omp simd reduction(+ : total, weighted)
    for (std::int64_t i = 0; i < n; ++i) {
        const float e = exponential(reference[i] - shift);
        total += e;
        weighted += e * (reference[i] - model[i]);
    }
    reference_sums->exponentials += static_cast<double>(total);
    *difference += static_cast<double>(weighted);
}

void kl_gradient(std::int64_t n, const float* reference, float reference_log_sum, float* model,
                 float model_log_sum, float factor) {
    for (std::int64_t i = 0; i < n; ++i)
        model[i] =
            factor * (exponential(model[i] - model_log_sum) - exponential(reference[i] - reference_log_sum));
}

void probabilities(std::int64_t n, float log_sum, float factor, float* logits) {
    for (std::int64_t i = 0; i < n; ++i) logits[i] = factor * exponential(logits[i] - log_sum);
}

void to_bfloat16(std::int64_t n, const float* x, std::uint16_t* y) {
    for (std::int64_t i = 0; i < n; ++i) {
        const auto bits = __builtin_bit_cast(std::uint32_t, x[i]);
        const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
        const std::uint32_t quiet = (bits >> 16) | 0x40U;
        y[i] = static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? quiet : rounded);
    }
}

void from_bfloat16(std::int64_t n, const std::uint16_t* x, float* y) {
    for (std::int64_t i = 0; i < n; ++i)
        y[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(x[i]) << 16);
}

template <class T>
void multiply_add(std::int64_t n, const T* a, const T* b, T* y) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] += a[i] * b[i];
}

template <class T>
void normalise(std::int64_t rows, std::int64_t cols, double epsilon, const T* x, T* y, T* inverse_deviation) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const T* in = x + r * cols;
        T* out = y + r * cols;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = 0; i < cols; ++i) sum += static_cast<double>(in[i]);
        const T mean = static_cast<T>(sum / static_cast<double>(cols));
        for (std::int64_t i = 0; i < cols; ++i) out[i] = in[i] - mean;
        const double variance = sum_of_squares(cols, out) / static_cast<double>(cols);
        const T inverse = static_cast<T>(1.0 / __builtin_sqrt(variance + epsilon));
        inverse_deviation[r] = inverse;
        for (std::int64_t i = 0; i < cols; ++i) out[i] *= inverse;
    }
}

// y = (x - m) r:  dx = r (g - mean(g) - y mean(g y)).
template <class T>
void normalise_backward(std::int64_t rows, std::int64_t cols, const T* y, const T* inverse_deviation,
                        const T* gradient, T* dx) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const T* out = y + r * cols;
        const T* g = gradient + r * cols;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = 0; i < cols; ++i) sum += static_cast<double>(g[i]);
        const T mean = static_cast<T>(sum / static_cast<double>(cols));
        const T share = static_cast<T>(dot(cols, g, out) / static_cast<double>(cols));
        for (std::int64_t i = 0; i < cols; ++i)
            dx[r * cols + i] = inverse_deviation[r] * (g[i] - mean - out[i] * share);
    }
}

template <class T>
void scale_and_shift(std::int64_t n, const T* x, const T* scale, const T* shift, T* y) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] * scale[i] + shift[i];
}

template <class T>
constexpr DenseKernels<T> dense_table() {
    return {add_scaled<T>,
            sum_of_squares<T>,
            squared_error<T>,
            unary<T>,
            unary_backward<T>,
            binary<T>,
            binary_backward<T>,
            rms_norm<T>,
            rms_norm_backward<T>,
            rotary<T>,
            softmax<T>,
            softmax_again<T>,
            softmax_backward<T>,
            dot<T>,
            multiply_add<T>,
            normalise<T>,
            normalise_backward<T>,
            scale_and_shift<T>};
}

}  // namespace

extern const DenseKernels<float> dense_float;
extern const DenseKernels<double> dense_double;
extern const VocabularyKernels vocabulary;
const DenseKernels<float> dense_float = dense_table<float>();
const DenseKernels<double> dense_double = dense_table<double>();
const VocabularyKernels vocabulary = {add_logits,    add_logit_pair, kl_gradient,
                                      probabilities, to_bfloat16,    from_bfloat16};

}  // namespace jlcm::JLCM_ISA
