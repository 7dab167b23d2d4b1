#include "core/codebook/kmeans.hpp"

#include "core/backend/cpu/kmeans_kernels.hpp"
#include "core/base/error.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

namespace jlcm {
namespace {

constexpr std::int64_t reciprocal_limit = 1
                                          << 16;  // above this the table of 1 / d is slower than the division
constexpr std::int64_t pad = kmeans_padding;

/// Order-preserving bits of a float; -0 counts as 0.
std::uint32_t key_of(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value + 0.0F);
    return bits ^ ((bits >> 31) != 0 ? 0xffffffffU : 0x80000000U);
}

float value_of(std::uint32_t key) {
    return std::bit_cast<float>(key ^ ((key >> 31) != 0 ? 0x80000000U : 0xffffffffU));
}

/// Least significant digit radix sort by the 32 bits above `shift`; passes whose digit is the same everywhere
/// are skipped. Afterwards `keys` is sorted.
template <class Key>
void radix_sort(std::vector<Key>& keys, std::vector<Key>& spare, int shift) {
    const std::size_t n = keys.size();
    if (n < 64) {
        std::sort(keys.begin(), keys.end());
        return;
    }
    spare.resize(n);
    const int width = n < 512 ? 8 : 11;
    const std::size_t buckets = std::size_t{1} << width;
    const int passes = (32 + width - 1) / width;
    std::uint32_t counts[4][2048];
    for (int pass = 0; pass < passes; ++pass) std::fill_n(counts[pass], buckets, 0U);
    const auto mask = static_cast<std::uint32_t>(buckets - 1);
    for (const Key key : keys) {
        const auto bits = static_cast<std::uint32_t>(key >> shift);
        for (int pass = 0; pass < passes; ++pass) ++counts[pass][(bits >> (pass * width)) & mask];
    }
    for (int pass = 0; pass < passes; ++pass) {
        auto* count = counts[pass];
        const int digit_shift = shift + pass * width;
        if (count[static_cast<std::uint32_t>(keys.front() >> digit_shift) & mask] == n) continue;
        std::uint32_t position = 0;
        for (std::size_t b = 0; b < buckets; ++b) position += std::exchange(count[b], position);
        for (const Key key : keys)
            spare[count[static_cast<std::uint32_t>(key >> digit_shift) & mask]++] = key;
        keys.swap(spare);
    }
}

}  // namespace

/// Sorts what counts and makes the prefix sums. False where the codewords were found on the way (few distinct
/// values).
bool KMeans1d::prepare(std::span<const float> values, std::span<const float> weights,
                       std::span<float> codewords) {
    ensure(!codewords.empty(), "k-means without codewords");
    ensure(weights.empty() || weights.size() == values.size(), "{} weights for {} values", weights.size(),
           values.size());
    ensure(values.size() < std::size_t{1} << 31, "k-means of {} values", values.size());
    const bool weighted = std::any_of(weights.begin(), weights.end(), [](float w) { return w > 0; });
    if (weighted) {
        keys_.clear();
        keys_.reserve(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (weights[i] > 0) keys_.push_back(std::uint64_t{key_of(values[i])} << 32 | i);
        }
        radix_sort(keys_, spare_keys_, 32);
        n_ = static_cast<std::int64_t>(keys_.size());
    } else {
        short_keys_.resize(values.size());
        std::transform(values.begin(), values.end(), short_keys_.begin(), key_of);
        radix_sort(short_keys_, spare_short_keys_, 0);
        n_ = static_cast<std::int64_t>(values.size());
    }
    const auto n = static_cast<std::size_t>(n_);
    sorted_.resize(n);
    for (std::size_t i = 0; i < n; ++i)
        sorted_[i] = value_of(weighted ? static_cast<std::uint32_t>(keys_[i] >> 32) : short_keys_[i]);

    if (n == 0) {
        std::fill(codewords.begin(), codewords.end(), 0.0F);
        return false;
    }
    std::size_t distinct = 0;
    for (std::size_t i = 0; i < n && distinct <= codewords.size(); ++i) {
        if (i > 0 && sorted_[i] == sorted_[i - 1]) continue;
        if (distinct < codewords.size()) codewords[distinct] = sorted_[i];
        ++distinct;
    }
    if (distinct <= codewords.size()) {
        std::fill(codewords.begin() + static_cast<std::ptrdiff_t>(distinct), codewords.end(), sorted_.back());
        return false;
    }

    centre_ = static_cast<double>(sorted_[n / 2]);
    sum_.resize(n + 1 + pad);
    weight_.resize(n + 1 + pad);
    sum_[0] = weight_[0] = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double w = weighted ? static_cast<double>(weights[static_cast<std::uint32_t>(keys_[i])]) : 1.0;
        weight_[i + 1] = weight_[i] + w;
        sum_[i + 1] = sum_[i] + w * (static_cast<double>(sorted_[i]) - centre_);
    }
    std::fill_n(sum_.begin() + static_cast<std::ptrdiff_t>(n) + 1, pad, sum_[n]);
    std::fill_n(weight_.begin() + static_cast<std::ptrdiff_t>(n) + 1, pad, weight_[n]);
    use_reciprocals_ = !weighted && n_ <= reciprocal_limit;
    if (use_reciprocals_ && static_cast<std::int64_t>(reversed_inverse_.size()) < n_ + pad) {
        constexpr double excluded = -std::numeric_limits<double>::infinity();
        inverse_.assign(n + 1 + 2 * pad, excluded);
        reversed_inverse_.assign(n + pad, excluded);
        for (std::size_t d = 1; d <= n; ++d) {
            inverse_[pad + d] = 1.0 / static_cast<double>(d);
            reversed_inverse_[n - d] = inverse_[pad + d];
        }
    }
    return true;
}

/// The clusters that are best at a price for which there are as many as asked for. False where none was
/// found: of equal or evenly spaced values, many numbers of clusters may be best at one price and none at
/// another.
bool KMeans1d::solve_by_price(const KMeansSums& input, std::span<std::int64_t> ends) {
    const auto n = static_cast<std::size_t>(n_);
    const auto k = static_cast<double>(ends.size());
    gain_.assign(n + 1 + pad, 0.0);
    boundary_.resize(n + 1);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    double low = -infinity;  // logarithms of prices: the highest of too many clusters, the lowest of too few
    double high = infinity;
    double variance = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double x = static_cast<double>(sorted_[i]) - centre_;
        variance += (weight_[i + 1] - weight_[i]) * x * x;
    }
    // The error of K clusters falls about as 1 / K^2, what another one saves as 1 / K^3.
    double price = std::log(variance) - 3 * std::log(k);
    constexpr int tries = 40;
    for (int i = 0; i < tries && std::isfinite(price); ++i) {
        kmeans_kernels().penalised(input, std::exp(price), gain_.data(), boundary_.data());
        std::size_t count = 0;
        for (std::int64_t end = n_; end > 0; end = boundary_[static_cast<std::size_t>(end)]) ++count;
        if (count == ends.size()) {
            std::int64_t end = n_;
            for (std::size_t c = ends.size(); c-- > 0; end = boundary_[static_cast<std::size_t>(end)])
                ends[c] = end;
            return true;
        }
        (count > ends.size() ? low : high) = price;
        price += 3 * std::log(static_cast<double>(count) / k);
        const bool enclosed = std::isfinite(low) && std::isfinite(high);
        if (enclosed && (price <= low || price >= high || i % 4 == 3)) price = std::midpoint(low, high);
    }
    return false;
}

void KMeans1d::solve_exact(std::span<std::int64_t> ends) {
    const auto n = static_cast<std::size_t>(n_);
    const auto k = static_cast<std::int64_t>(ends.size());
    const KMeansKernels& kernels = kmeans_kernels();
    const KMeansSums input{n_,
                           sum_.data(),
                           weight_.data(),
                           use_reciprocals_ ? inverse_.data() + pad : nullptr,
                           reversed_inverse_.data(),
                           static_cast<std::int64_t>(reversed_inverse_.size()) - pad};
    ends.back() = n_;
    if (k == 1) return;
    // Points times passes and the lengths of clusters, against layers times points and their bisection.
    constexpr double passes = 9;
    const auto points = static_cast<double>(n_);
    const auto clusters = static_cast<double>(k);
    if (passes * points < clusters * clusters * std::log2(points) && solve_by_price(input, ends)) return;
    gain_.assign(n + 1 + pad, 0.0);
    next_gain_.assign(n + 1 + pad, 0.0);
    for (std::size_t i = 1; i <= n; ++i) gain_[i] = sum_[i] * sum_[i] / weight_[i];
    boundary_.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, k - 2)) * (n + 1));
    for (std::int64_t layer = 2; layer < k; ++layer) {
        kernels.layer(input, layer, gain_.data(), next_gain_.data(),
                      boundary_.data() + static_cast<std::size_t>(layer - 2) * (n + 1));
        gain_.swap(next_gain_);
    }
    std::int64_t end = kernels.last_boundary(input, k, gain_.data());
    for (std::int64_t layer = k - 1; layer >= 1; --layer) {
        ends[static_cast<std::size_t>(layer - 1)] = end;
        if (layer >= 2)
            end = boundary_[static_cast<std::size_t>(layer - 2) * (n + 1) + static_cast<std::size_t>(end)];
    }
}

double KMeans1d::mean(std::int64_t begin, std::int64_t end) const {
    const auto b = static_cast<std::size_t>(begin);
    const auto e = static_cast<std::size_t>(end);
    return centre_ + (sum_[e] - sum_[b]) / (weight_[e] - weight_[b]);
}

void KMeans1d::solve_lloyd(int iterations, std::span<std::int64_t> ends) {
    const auto k = static_cast<std::int64_t>(ends.size());
    // Cells of equal share that never split equal values: every cell keeps at least one distinct value.
    std::vector<std::int64_t> distinct_ends;
    for (std::int64_t i = 1; i <= n_; ++i) {
        if (i == n_ || sorted_[static_cast<std::size_t>(i)] != sorted_[static_cast<std::size_t>(i - 1)])
            distinct_ends.push_back(i);
    }
    std::size_t at = 0;
    for (std::int64_t c = 0; c < k; ++c) {
        const double share =
            weight_[static_cast<std::size_t>(n_)] * static_cast<double>(c + 1) / static_cast<double>(k);
        const std::size_t limit = distinct_ends.size() - static_cast<std::size_t>(k - c);
        while (at < limit && weight_[static_cast<std::size_t>(distinct_ends[at])] < share) ++at;
        ends[static_cast<std::size_t>(c)] = distinct_ends[at++];
    }
    ends.back() = n_;
    std::vector<std::int64_t> moved(ends.begin(), ends.end());
    for (int iteration = 0; iteration < iterations; ++iteration) {
        double left = mean(0, ends[0]);
        for (std::int64_t c = 1; c < k; ++c) {
            const double right =
                mean(ends[static_cast<std::size_t>(c - 1)], ends[static_cast<std::size_t>(c)]);
            const double middle = (left + right) / 2;
            const auto bound = std::upper_bound(sorted_.begin(), sorted_.end(), middle,
                                                [](double m, float v) { return m < static_cast<double>(v); });
            moved[static_cast<std::size_t>(c - 1)] = bound - sorted_.begin();
            left = right;
        }
        const bool empty_cell =
            std::adjacent_find(moved.begin(), moved.end(), std::greater_equal<>()) != moved.end();
        if (empty_cell || moved.front() == 0 || std::equal(moved.begin(), moved.end(), ends.begin())) break;
        std::copy(moved.begin(), moved.end(), ends.begin());
    }
}

double KMeans1d::finish(std::span<const std::int64_t> ends, std::span<float> codewords) const {
    double error = 0;
    std::int64_t begin = 0;
    for (std::size_t c = 0; c < ends.size(); ++c) {
        const double centroid = mean(begin, ends[c]);
        codewords[c] = static_cast<float>(centroid);
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(ends[c]); ++i) {
            const double distance = static_cast<double>(sorted_[i]) - centroid;
            error += (weight_[i + 1] - weight_[i]) * distance * distance;
        }
        begin = ends[c];
    }
    return error;
}

double KMeans1d::exact(std::span<const float> values, std::span<const float> weights,
                       std::span<float> codewords) {
    if (!prepare(values, weights, codewords)) return 0;
    std::vector<std::int64_t> ends(codewords.size());
    solve_exact(ends);
    return finish(ends, codewords);
}

double KMeans1d::lloyd(std::span<const float> values, std::span<const float> weights, int iterations,
                       std::span<float> codewords) {
    if (!prepare(values, weights, codewords)) return 0;
    std::vector<std::int64_t> ends(codewords.size());
    solve_lloyd(iterations, ends);
    return finish(ends, codewords);
}

void assign_nearest(std::span<const float> values, std::span<const float> codewords,
                    std::span<std::uint8_t> codes) {
    ensure(!codewords.empty() && codewords.size() <= 256 && codes.size() == values.size(),
           "{} codewords, {} values, {} codes", codewords.size(), values.size(), codes.size());
    float thresholds[255];
    const auto count = static_cast<int>(codewords.size()) - 1;
    for (int k = 0; k < count; ++k)
        thresholds[k] =
            std::midpoint(codewords[static_cast<std::size_t>(k)], codewords[static_cast<std::size_t>(k) + 1]);
    kmeans_kernels().count_below(values.data(), static_cast<std::int64_t>(values.size()), thresholds, count,
                                 codes.data());
}

}  // namespace jlcm
