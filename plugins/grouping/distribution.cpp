#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/grouping.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace jlcm {
namespace {

struct DistributionOptions {
    int groups = 16;
    GroupParts parts = GroupParts::codebooks;
    bool balanced = false;
    double spread = 1.0;
    int quantiles = 16;

    void fields(Fields& v) {
        v("groups", groups,
          Doc{"Row groups of a matrix (at most its rows). More groups fit better and cost more bytes."},
          Range{.low = 1, .high = 65536});
        v("parts", parts,
          Doc{"The values that a group holds. Scales cost 2 bytes per group, codebooks 2 K."});
        v("balanced", balanced,
          Doc{"Groups of equal size (within one row). Helps if a few odd rows would otherwise get groups of "
              "their own."});
        v("spread", spread,
          Doc{"Weight of the spread (the logarithm of a row's root mean square) against the shape of its "
              "distribution. 0 groups by "
              "shape alone, which is what groups with a scale of their own want."},
          Range{.low = 0, .high = 100});
        v("quantiles", quantiles, Doc{"Sorted quantiles that describe a row's shape."},
          Range{.low = 2, .high = 256});
    }
};

/// Rows as points: scale-free sorted quantiles, and the logarithm of the spread.
struct Points {
    std::int64_t count = 0;
    std::int64_t dimension = 0;
    std::vector<float> values;
    [[nodiscard]] const float* at(std::int64_t i) const { return values.data() + i * dimension; }
};

double squared_distance(const float* a, const float* b, std::int64_t n) {
    double total = 0;
    for (std::int64_t i = 0; i < n; ++i)
        total += (static_cast<double>(a[i]) - static_cast<double>(b[i])) *
                 (static_cast<double>(a[i]) - static_cast<double>(b[i]));
    return total;
}

/// Writes what describes the rows of `weights` to coordinates [offset, offset + quantiles] of the points.
void describe(const Tensor& weights, const DistributionOptions& options, std::int64_t offset,
              Points& points) {
    const std::int64_t cols = weights.cols();
    parallel_for(points.count, 16, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> sorted(static_cast<std::size_t>(cols));
        for (std::int64_t row = begin; row < end; ++row) {
            const float* w = weights.data<float>() + row * cols;
            std::copy(w, w + cols, sorted.begin());
            std::sort(sorted.begin(), sorted.end());
            double squares = 0;
            for (const float v : sorted) squares += static_cast<double>(v) * static_cast<double>(v);
            const double rms = std::sqrt(squares / static_cast<double>(cols));
            float* point = points.values.data() + row * points.dimension + offset;
            for (int q = 0; q < options.quantiles; ++q) {
                const double position =
                    (static_cast<double>(q) + 0.5) / options.quantiles * static_cast<double>(cols);
                const auto at = std::min(sorted.size() - 1, static_cast<std::size_t>(position));
                point[q] = rms > 0 ? static_cast<float>(static_cast<double>(sorted[at]) / rms /
                                                        std::sqrt(options.quantiles))
                                   : 0.0F;
            }
            constexpr double smallest = 1e-30;
            point[options.quantiles] = static_cast<float>(options.spread * std::log(std::max(rms, smallest)));
        }
    });
}

/// Centres by k-means++ (Arthur and Vassilvitskii, SODA 2007).
std::vector<float> first_centres(const Points& points, std::int64_t k) {
    const Rng rng(0, "grouping.distribution");
    std::vector<float> centres;
    std::vector<double> distance(static_cast<std::size_t>(points.count),
                                 std::numeric_limits<double>::infinity());
    std::int64_t chosen = 0;
    for (std::int64_t c = 0; c < k; ++c) {
        centres.insert(centres.end(), points.at(chosen), points.at(chosen) + points.dimension);
        double total = 0;
        for (std::int64_t i = 0; i < points.count; ++i) {
            auto& d = distance[static_cast<std::size_t>(i)];
            d = std::min(d, squared_distance(points.at(i), points.at(chosen), points.dimension));
            total += d;
        }
        double left = rng.uniform(static_cast<std::uint64_t>(c)) * total;
        for (chosen = 0; chosen + 1 < points.count; ++chosen) {
            left -= distance[static_cast<std::size_t>(chosen)];
            if (left < 0) break;
        }
    }
    return centres;
}

/// The nearest centre of every point; balanced: the points that lose most by waiting choose first, and a
/// centre takes at most its share.
std::vector<std::int32_t> assign(const Points& points, const std::vector<float>& centres, std::int64_t k,
                                 bool balanced) {
    const auto n = static_cast<std::size_t>(points.count);
    std::vector<double> distance(n * static_cast<std::size_t>(k));
    std::vector<std::int32_t> cluster(n);
    std::vector<double> urgency(n, 0.0);
    parallel_for(points.count, 64, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
            double* d = distance.data() + i * static_cast<std::size_t>(k);
            for (std::int64_t c = 0; c < k; ++c)
                d[c] = squared_distance(points.at(static_cast<std::int64_t>(i)),
                                        centres.data() + c * points.dimension, points.dimension);
            cluster[i] = static_cast<std::int32_t>(std::min_element(d, d + k) - d);
            urgency[i] = d[cluster[i]] - *std::max_element(d, d + k);
        }
    });
    if (!balanced) return cluster;
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return urgency[a] < urgency[b]; });
    std::vector<std::int64_t> room(static_cast<std::size_t>(k));
    for (std::int64_t c = 0; c < k; ++c)
        room[static_cast<std::size_t>(c)] = points.count * (c + 1) / k - points.count * c / k;
    for (const std::size_t i : order) {
        const double* d = distance.data() + i * static_cast<std::size_t>(k);
        std::int64_t best = -1;
        for (std::int64_t c = 0; c < k; ++c) {
            if (room[static_cast<std::size_t>(c)] > 0 && (best < 0 || d[c] < d[best])) best = c;
        }
        --room[static_cast<std::size_t>(best)];
        cluster[i] = static_cast<std::int32_t>(best);
    }
    return cluster;
}

/// Every cluster gets a row: an empty one takes the row that lies farthest from its centre, among clusters of
/// several.
void fill_empty(const Points& points, const std::vector<float>& centres, std::vector<std::int32_t>& cluster,
                std::int64_t k) {
    std::vector<std::int64_t> size(static_cast<std::size_t>(k), 0);
    for (const auto c : cluster) ++size[static_cast<std::size_t>(c)];
    for (std::int64_t empty = 0; empty < k; ++empty) {
        if (size[static_cast<std::size_t>(empty)] > 0) continue;
        std::size_t farthest = 0;
        double most = -1;
        for (std::size_t i = 0; i < cluster.size(); ++i) {
            if (size[static_cast<std::size_t>(cluster[i])] < 2) continue;
            const double d =
                squared_distance(points.at(static_cast<std::int64_t>(i)),
                                 centres.data() + cluster[i] * points.dimension, points.dimension);
            if (d > most) {
                most = d;
                farthest = i;
            }
        }
        --size[static_cast<std::size_t>(cluster[farthest])];
        ++size[static_cast<std::size_t>(empty)];
        cluster[farthest] = static_cast<std::int32_t>(empty);
    }
}

std::vector<std::int32_t> cluster_points(const Points& points, std::int64_t k, bool balanced) {
    constexpr int iterations = 50;
    std::vector<float> centres = first_centres(points, k);
    std::vector<std::int32_t> cluster;
    for (int iteration = 0; iteration < iterations; ++iteration) {
        auto next = assign(points, centres, k, balanced);
        fill_empty(points, centres, next, k);
        if (next == cluster) break;
        cluster = std::move(next);
        std::vector<double> sum(centres.size(), 0.0);
        std::vector<double> size(static_cast<std::size_t>(k), 0.0);
        for (std::int64_t i = 0; i < points.count; ++i) {
            const std::int64_t c = cluster[static_cast<std::size_t>(i)];
            size[static_cast<std::size_t>(c)] += 1;
            for (std::int64_t d = 0; d < points.dimension; ++d)
                sum[static_cast<std::size_t>(c * points.dimension + d)] +=
                    static_cast<double>(points.at(i)[d]);
        }
        for (std::size_t i = 0; i < centres.size(); ++i)
            centres[i] = static_cast<float>(sum[i] / size[i / static_cast<std::size_t>(points.dimension)]);
    }
    return cluster;
}

class Distribution : public Grouping {
  public:
    using Options = DistributionOptions;
    explicit Distribution(const Options& options) : options_(options) {}

    [[nodiscard]] GroupedRows group(const LayerProblem& problem, int bits) const override {
        const TiedRows rows = [&] { return problem; };
        return contiguous_groups(row_group_layout(problem, bits, options_.parts),
                                 cluster(problem.weights.rows(), std::span(&rows, 1)),
                                 groups(problem.weights.rows()));
    }

    [[nodiscard]] bool orders_rows() const override { return true; }

    [[nodiscard]] std::int64_t groups(std::int64_t count) const override {
        return std::min<std::int64_t>(options_.groups, count);
    }

    [[nodiscard]] std::vector<std::int32_t> cluster(std::int64_t count,
                                                    std::span<const TiedRows> tied) const override {
        const std::int64_t coordinates = options_.quantiles + 1;
        Points points{count, coordinates * std::ssize(tied), {}};
        points.values.resize(static_cast<std::size_t>(points.count * points.dimension));
        for (std::size_t i = 0; i < tied.size(); ++i) {
            const LayerProblem problem = tied[i]();
            problem.validate();
            ensure(problem.weights.rows() == count, "{}: {} rows about {} things", problem.name,
                   problem.weights.rows(), count);
            describe(problem.weights, options_, coordinates * static_cast<std::int64_t>(i), points);
        }
        if (groups(count) == 1 || groups(count) == count) return consecutive_groups(count, groups(count));
        return cluster_points(points, groups(count), options_.balanced);
    }

    [[nodiscard]] GroupedRows group_in_place(const LayerProblem& problem, int bits,
                                             const std::vector<std::int32_t>& group_of_row) const override {
        problem.validate();
        if (group_of_row.empty()) return consecutive_rows(problem, bits, options_.parts, options_.groups);
        const std::int64_t named = *std::max_element(group_of_row.begin(), group_of_row.end()) + 1;
        return {groups_in_place(row_group_layout(problem, bits, options_.parts), group_of_row, named), {}};
    }

  private:
    Options options_;
};

const Registrar<Grouping, Distribution> registrar{
    "distribution",
    "Rows of similar weight distribution, re-ordered into runs that share a codebook or a scale.",
    "method section 3"};

}  // namespace
}  // namespace jlcm
