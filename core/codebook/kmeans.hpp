#pragma once
// K-means in one dimension. On a line an optimal clustering is made of intervals of the sorted values, so the
// global optimum is found by dynamic programming (Wang and Song, "Ckmeans.1d.dp", The R Journal 2011), and
// the best last boundary moves monotonically, which makes a layer O(n log n) (Wu, "Optimal quantization by
// matrix searching", 1991; Gronlund et al., "Fast exact k-means, k-medians and Bregman divergence clustering
// in 1D", arXiv 1701.07204, 2017). Many short clusters are found faster by pricing each (regularised k-means,
// ibid.): one pass, without layers, at the price for which the optimum has K clusters. The least error is
// convex in K, so that there is one.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace jlcm {

struct KMeansSums;

/// Clusters one set of values after another; keeps its working memory between calls (one object a thread).
class KMeans1d {
  public:
    /// The optimal codewords for `values`, ascending: the clusters' (weighted) means, rounded to float32.
    /// With fewer distinct values than codewords each distinct value is one and the largest is repeated; no
    /// values give zeros. `weights`: empty, or one a value, not negative; values of weight zero do not count,
    /// and where all weights are zero they are ignored. Values and weights must be finite. Memory: about 50 +
    /// 4 K bytes a value. Returns the minimal (weighted) sum of squared distances, that of the means before
    /// rounding.
    double exact(std::span<const float> values, std::span<const float> weights, std::span<float> codewords);

    /// Lloyd's algorithm from cells of equal (weighted) share until nothing moves, a cell would lose its
    /// last value, or `iterations` are done: a local optimum. A step costs O(K log n) on sorted values.
    /// Arguments and result as for exact().
    double lloyd(std::span<const float> values, std::span<const float> weights, int iterations,
                 std::span<float> codewords);

  private:
    bool prepare(std::span<const float> values, std::span<const float> weights, std::span<float> codewords);
    void solve_exact(std::span<std::int64_t> ends);
    bool solve_by_price(const KMeansSums& input, std::span<std::int64_t> ends);
    void solve_lloyd(int iterations, std::span<std::int64_t> ends);
    double finish(std::span<const std::int64_t> ends, std::span<float> codewords) const;
    [[nodiscard]] double mean(std::int64_t begin, std::int64_t end) const;

    std::int64_t n_ = 0;  ///< values that count
    double centre_ = 0;   ///< subtracted before sums are taken, against cancellation
    std::vector<std::uint64_t> keys_, spare_keys_;
    std::vector<std::uint32_t> short_keys_, spare_short_keys_;
    std::vector<float> sorted_;
    std::vector<double> sum_, weight_;  ///< prefix sums: of weight * (value - centre_), of weight
    std::vector<double> gain_, next_gain_;
    std::vector<double> inverse_, reversed_inverse_;
    std::vector<std::int32_t> boundary_;
    bool use_reciprocals_ = false;  ///< equal weights and a table of 1 / d
};

/// The index of the codeword nearest to each value, ties to the lower one. `codewords`: 1..256, ascending.
void assign_nearest(std::span<const float> values, std::span<const float> codewords,
                    std::span<std::uint8_t> codes);

}  // namespace jlcm
