#include "core/backend/cpu/kmeans_kernels.hpp"

namespace jlcm::JLCM_ISA {
namespace {

constexpr std::int64_t lanes = 8;
using Doubles = double __attribute__((vector_size(64)));
using Integers = std::int64_t __attribute__((vector_size(64)));
using DoublesAnywhere = double __attribute__((vector_size(64), aligned(8)));

// Macros rather than functions: a function that is not a clone itself can't take 64-byte vectors without an
// ABI note.
#define LOAD(pointer) (*reinterpret_cast<const DoublesAnywhere*>(pointer))

constexpr double minus_infinity = -__builtin_huge_val();

/// The best j in [low, high] (leftmost) for one i; `value` is its gain. Looks up to `lanes` further, below i.
template <bool unweighted>
[[gnu::always_inline]] inline std::int64_t best_of_range(const KMeansSums& in, const double* gain,
                                                         std::int64_t i, std::int64_t low, std::int64_t high,
                                                         double* value) {
    const Doubles sum_i = in.sum[i] - Doubles{};
    const Doubles weight_i = in.weight[i] - Doubles{};
    const double* inverse = unweighted ? in.reversed_inverse + (in.size - i) : nullptr;
    Doubles best = minus_infinity - Doubles{};
    Integers best_index = low - Integers{};
    Integers index = low + Integers{0, 1, 2, 3, 4, 5, 6, 7};
    for (std::int64_t j = low; j <= high; j += lanes) {
        const Doubles difference = sum_i - LOAD(in.sum + j);
        Doubles candidate;
        if constexpr (unweighted) {
            candidate = LOAD(gain + j) + difference * difference * LOAD(inverse + j);
        } else {
            const Doubles mass = weight_i - LOAD(in.weight + j);
            candidate = LOAD(gain + j) + difference * difference / mass;
            candidate = mass > 0.0 ? candidate : minus_infinity - Doubles{};
        }
        const Integers better = candidate > best;
        best = better ? candidate : best;
        best_index = better ? index : best_index;
        index += lanes;
    }
    std::int64_t winner = 0;
    for (std::int64_t lane = 1; lane < lanes; ++lane) {
        if (best[lane] > best[winner] ||
            (best[lane] == best[winner] && best_index[lane] < best_index[winner]))
            winner = lane;
    }
    *value = best[winner];
    return best_index[winner];
}

/// The seven i between two known ones, in lanes, over the j that monotonicity leaves.
template <bool unweighted>
[[gnu::always_inline]] inline void fill_between(const KMeansSums& in, const double* gain, std::int64_t first,
                                                std::int64_t count, std::int64_t low, std::int64_t high,
                                                double* next, std::int32_t* boundary) {
    const Doubles sum_i = LOAD(in.sum + first);
    const Doubles weight_i = LOAD(in.weight + first);
    Doubles best = minus_infinity - Doubles{};
    Integers best_index = low - Integers{};
    for (std::int64_t j = low; j <= high; ++j) {
        const Doubles difference = sum_i - in.sum[j];
        Doubles candidate;
        if constexpr (unweighted) {
            candidate = gain[j] + difference * difference * LOAD(in.inverse + (first - j));
        } else {
            const Doubles mass = weight_i - in.weight[j];
            candidate = gain[j] + difference * difference / mass;
            candidate = mass > 0.0 ? candidate : minus_infinity - Doubles{};
        }
        const Integers better = candidate > best;
        best = better ? candidate : best;
        best_index = better ? j - Integers{} : best_index;
    }
    for (std::int64_t lane = 0; lane < count; ++lane) {
        next[first + lane] = best[lane];
        boundary[first + lane] = static_cast<std::int32_t>(best_index[lane]);
    }
}

/// Points at multiples of 8 by bisection, lanes over j; then the rest, lanes over i.
template <bool unweighted>
[[gnu::always_inline]] inline void layer_body(const KMeansSums& in, std::int64_t k, const double* gain,
                                              double* next, std::int32_t* boundary) {
    const std::int64_t last = in.n - k;  // points i = k + p, p = 0..last
    boundary[k] = static_cast<std::int32_t>(best_of_range<unweighted>(in, gain, k, k - 1, k - 1, next + k));
    std::int64_t top = lanes;
    while (2 * top <= last) top *= 2;
    for (std::int64_t stride = top; stride >= lanes; stride /= 2) {
        for (std::int64_t p = stride; p <= last; p += 2 * stride) {
            const std::int64_t i = k + p;
            const std::int64_t low = boundary[i - stride];
            std::int64_t high = p + stride <= last ? boundary[i + stride] : i - 1;
            if (high > i - 1) high = i - 1;
            boundary[i] =
                static_cast<std::int32_t>(best_of_range<unweighted>(in, gain, i, low, high, next + i));
        }
    }
    for (std::int64_t p = 0; p < last; p += lanes) {
        const std::int64_t i = k + p;
        const bool closed = p + lanes <= last;
        const std::int64_t count = closed ? lanes - 1 : last - p;
        const std::int64_t high = closed ? boundary[i + lanes] : i + count - 1;
        fill_between<unweighted>(in, gain, i + 1, count, boundary[i], high, next, boundary);
    }
}

void layer(const KMeansSums& input, std::int64_t k, const double* gain, double* next,
           std::int32_t* boundary) {
    if (input.inverse != nullptr) {
        layer_body<true>(input, k, gain, next, boundary);
    } else {
        layer_body<false>(input, k, gain, next, boundary);
    }
}

std::int64_t last_boundary(const KMeansSums& input, std::int64_t k, const double* gain) {
    double value = 0;
    if (input.inverse != nullptr)
        return best_of_range<true>(input, gain, input.n, k - 1, input.n - 1, &value);
    return best_of_range<false>(input, gain, input.n, k - 1, input.n - 1, &value);
}

template <bool unweighted>
[[gnu::always_inline]] inline void penalised_body(const KMeansSums& in, double penalty, double* gain,
                                                  std::int32_t* boundary) {
    std::int64_t low = 0;
    for (std::int64_t i = 1; i <= in.n; ++i) {
        low = best_of_range<unweighted>(in, gain, i, low, i - 1, gain + i);
        gain[i] -= penalty;
        boundary[i] = static_cast<std::int32_t>(low);
    }
}

void penalised(const KMeansSums& input, double penalty, double* gain, std::int32_t* boundary) {
    if (input.inverse != nullptr) {
        penalised_body<true>(input, penalty, gain, boundary);
    } else {
        penalised_body<false>(input, penalty, gain, boundary);
    }
}

void count_below(const float* values, std::int64_t n, const float* thresholds, int count,
                 std::uint8_t* codes) {
    if (count > 31) {
        for (std::int64_t i = 0; i < n; ++i) {
            int low = 0;
            int high = count;  // thresholds [0, low) are below the value, [high, count) are not
            while (low < high) {
                const int middle = (low + high) / 2;
                if (thresholds[middle] < values[i]) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            codes[i] = static_cast<std::uint8_t>(low);
        }
        return;
    }
    constexpr std::int64_t block = 64;
    for (std::int64_t begin = 0; begin < n; begin += block) {
        const std::int64_t size = n - begin < block ? n - begin : block;
        std::int32_t below[block] = {};
        float value[block] = {};
        for (std::int64_t i = 0; i < size; ++i) value[i] = values[begin + i];
        for (int t = 0; t < count; ++t) {
            const float threshold = thresholds[t];
            for (std::int64_t i = 0; i < block; ++i) below[i] += value[i] > threshold ? 1 : 0;
        }
        for (std::int64_t i = 0; i < size; ++i) codes[begin + i] = static_cast<std::uint8_t>(below[i]);
    }
}

std::int32_t best_codeword(int k, std::int64_t dimension, const float* columns, const float* slope,
                           const float* lengths) {
    alignas(64) float score[256] = {};
    for (int i = 0; i < k; ++i) score[i] = 0.5F * lengths[i];
    for (std::int64_t e = 0; e < dimension; ++e) {
        const float s = slope[e];
        const float* column = columns + e * k;
        for (int i = 0; i < k; ++i) score[i] += s * column[i];
    }
    // The least by lanes: one running minimum would be a chain of comparisons.
    constexpr int parts = 16;
    float least_of_lane[parts];
    for (int p = 0; p < parts; ++p) least_of_lane[p] = score[p < k ? p : 0];
    for (int i = parts; i + parts <= k; i += parts)
        for (int p = 0; p < parts; ++p)
            least_of_lane[p] = score[i + p] < least_of_lane[p] ? score[i + p] : least_of_lane[p];
    float least = least_of_lane[0];
    for (int p = 1; p < parts; ++p) least = least_of_lane[p] < least ? least_of_lane[p] : least;
    std::int32_t best = 0;
    while (best + 1 < k && !(score[best] <= least)) ++best;
    return best;
}

}  // namespace

extern const KMeansKernels kmeans;
const KMeansKernels kmeans{layer, last_boundary, penalised, count_below, best_codeword};

}  // namespace jlcm::JLCM_ISA
