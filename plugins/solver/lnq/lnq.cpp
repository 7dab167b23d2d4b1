#include "plugins/solver/lnq/lnq.hpp"

#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/damped_moments.hpp"
#include "plugins/solver/lnq/lnq_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <Eigen/Cholesky>
#include <Eigen/Core>

namespace jlcm {
namespace {

constexpr std::int64_t lanes = solver_lanes;
/// Tiles that share a packed block of H in the codebook step: many where H is read from memory again and
/// again, and there are enough for all threads.
std::int64_t tiles_a_task(std::int64_t tiles) {
    return tiles >= 64 ? 4 : 2;
}

float stored(double value) {
    return f16_rounded(static_cast<float>(value));
}

/// Sums over the rows of a group: what its codebook and scale are solved from.
struct GroupSums {
    std::vector<double> a;  ///< [K, K]: P^T H P
    std::vector<double> b;  ///< [K]: P^T H w
    double energy = 0;      ///< w^T H w
    std::int64_t rows = 0;

    GroupSums() = default;
    explicit GroupSums(std::size_t k) : a(k * k, 0.0), b(k, 0.0) {}

    void add_gram(const double* more) {
        for (std::size_t i = 0; i < a.size(); ++i) a[i] += more[i];
    }
    /// The rest of a row: sums [K] by code of H w, `stride` apart.
    void add_row(const float* sums, std::int64_t stride, double row_energy) {
        for (std::size_t i = 0; i < b.size(); ++i)
            b[i] += static_cast<double>(sums[static_cast<std::int64_t>(i) * stride]);
        energy += row_energy;
        ++rows;
    }
    /// a += a^T, by squares: a column of many codewords shares few sets of the cache.
    void add_transpose() {
        constexpr std::size_t side = 8;
        const std::size_t k = b.size();
        for (std::size_t ps = 0; ps < k; ps += side)
            for (std::size_t qs = 0; qs <= ps; qs += side)
                for (std::size_t p = ps; p < std::min(k, ps + side); ++p)
                    for (std::size_t q = qs; q < std::min(p + 1, qs + side); ++q)
                        a[p * k + q] = a[q * k + p] = a[p * k + q] + a[q * k + p];
    }
    void add(const GroupSums& other) {
        if (a.empty()) {
            *this = other;
            return;
        }
        for (std::size_t i = 0; i < a.size(); ++i) a[i] += other.a[i];
        for (std::size_t i = 0; i < b.size(); ++i) b[i] += other.b[i];
        energy += other.energy;
        rows += other.rows;
    }
    /// p^T A p for p = scale * codebook.
    [[nodiscard]] double curvature(std::span<const float> codebook) const {
        double total = 0;
        for (std::size_t i = 0; i < codebook.size(); ++i) {
            double row = 0;
            for (std::size_t j = 0; j < codebook.size(); ++j)
                row += a[i * codebook.size() + j] * static_cast<double>(codebook[j]);
            total += row * static_cast<double>(codebook[i]);
        }
        return total;
    }
    [[nodiscard]] double overlap(std::span<const float> codebook) const {
        double total = 0;
        for (std::size_t i = 0; i < codebook.size(); ++i) total += b[i] * static_cast<double>(codebook[i]);
        return total;
    }
    [[nodiscard]] double objective(std::span<const float> codebook, double scale) const {
        return scale * scale * curvature(codebook) - 2 * scale * overlap(codebook) + energy;
    }
};

/// Solves (A + ridge) x = y for a symmetric matrix by Cholesky; false where it is not positive definite.
bool solve_positive(const Eigen::MatrixXd& a, double ridge, Eigen::VectorXd& x) {
    constexpr double smallest_pivot = 1e-7;  // of the diagonal: A carries float32 rounding
    Eigen::MatrixXd ridged = a;
    ridged.diagonal().array() += ridge;
    const Eigen::LLT<Eigen::MatrixXd> factor(ridged);
    if (factor.info() != Eigen::Success) return false;
    const auto pivots = factor.matrixLLT().diagonal().array().square();
    if (!(pivots > smallest_pivot * ridged.diagonal().array()).all()) return false;
    factor.solveInPlace(x);
    return true;
}

/// An unused codeword moves into the middle of the widest gap between others, where the mapping can find it.
void place_unused(std::vector<double>& codebook, const std::vector<bool>& used) {
    std::vector<double> placed;
    for (std::size_t i = 0; i < codebook.size(); ++i) {
        if (used[i]) placed.push_back(codebook[i]);
    }
    if (placed.size() < 2) return;
    std::sort(placed.begin(), placed.end());
    for (std::size_t i = 0; i < codebook.size(); ++i) {
        if (used[i]) continue;
        std::size_t widest = 1;
        for (std::size_t g = 2; g < placed.size(); ++g) {
            if (placed[g] - placed[g - 1] > placed[widest] - placed[widest - 1]) widest = g;
        }
        codebook[i] = (placed[widest] + placed[widest - 1]) / 2;
        placed.insert(placed.begin() + static_cast<std::ptrdiff_t>(widest), codebook[i]);
    }
}

/// The codebook that minimises the quadratic form, from the present one: directions that the data do not
/// determine stay as they are. False where no solution was found. `codebook` is in units of the
/// reconstruction.
bool minimise(const GroupSums& sums, std::vector<double>& codebook) {
    const std::size_t k = codebook.size();
    std::vector<std::size_t> used;
    std::vector<bool> is_used(k, false);
    double trace = 0;
    for (std::size_t i = 0; i < k; ++i) {
        if (!(sums.a[i * k + i] > 0)) continue;
        is_used[i] = true;
        used.push_back(i);
        trace += sums.a[i * k + i];
    }
    if (used.empty()) return false;
    const auto n = static_cast<Eigen::Index>(used.size());
    Eigen::MatrixXd a(n, n);
    Eigen::VectorXd gradient(n);
    for (Eigen::Index i = 0; i < n; ++i) {
        const std::size_t p = used[static_cast<std::size_t>(i)];
        gradient[i] = sums.b[p];
        for (Eigen::Index j = 0; j < n; ++j) {
            const std::size_t q = used[static_cast<std::size_t>(j)];
            a(j, i) = sums.a[p * k + q];
            gradient[i] -= a(j, i) * codebook[q];
        }
    }
    const double mean = trace / static_cast<double>(n);
    for (const double ridge : {0.0, 1e-6, 1e-4, 1e-2, 1.0}) {
        Eigen::VectorXd step = gradient;
        if (!solve_positive(a, ridge * mean, step)) continue;
        for (Eigen::Index i = 0; i < n; ++i) codebook[used[static_cast<std::size_t>(i)]] += step[i];
        place_unused(codebook, is_used);
        return true;
    }
    return false;
}

class Lnq {
  public:
    Lnq(const LayerProblem& problem, CompressedMatrix& matrix, const LnqParameters& parameters)
        : matrix_(matrix),
          parameters_(parameters),
          kernels_(lnq_kernels()),
          cols_(matrix.layout.cols),
          k_(matrix.layout.codewords()),
          groups_(matrix.layout.group_map()),
          group_rows_(static_cast<std::size_t>(matrix.layout.row_groups), 0) {
        cut_into_tiles(problem);
        for (std::int64_t row = 0; row < groups_.rows(); ++row) ++group_rows_[group(row)];
        weights_ = to_stored_order(problem.weights, matrix.row_order);
        load_tiles();
    }

    SolverLog run() {
        Outcome step = codebook_step();
        log_.objective.push_back(step.before);
        for (int round = 0; round < parameters_.rounds; ++round) {
            for (int cycle = 0; cycle < parameters_.cycles; ++cycle) mapping_step();
            step = codebook_step();
            log_.objective.push_back(step.after);
        }
        if (parameters_.rounds == 0) log_.objective.push_back(step.after);
        store_mapping();
        if (stuck_codebooks_ > 0)
            log_.notes.push_back(
                fmt::format("{} codebook steps had no stable solution and were left out", stuck_codebooks_));
        return log_;
    }

  private:
    /// Rows of one set, side by side.
    struct Tile {
        std::size_t first_row = 0;  ///< in rows_of_tiles_
        std::size_t rows = 0;
        std::size_t set = 0;  ///< of second moments
    };
    /// The objective around a codebook step.
    struct Outcome {
        double before = 0;
        double after = 0;
        bool solved = true;
    };

    [[nodiscard]] float* tile(Tensor& tensor, std::int64_t t) const {
        return tensor.data<float>() + t * padded_ * lanes;
    }
    [[nodiscard]] std::uint8_t* tile_codes(std::int64_t t) {
        return codes_.data<std::uint8_t>() + t * padded_ * lanes;
    }
    /// The stored rows of a tile.
    [[nodiscard]] std::span<const std::int64_t> tile_rows(std::int64_t t) const {
        const Tile& tile = tile_list_[static_cast<std::size_t>(t)];
        return std::span(rows_of_tiles_).subspan(tile.first_row, tile.rows);
    }
    [[nodiscard]] const DampedMoments& moments(std::int64_t t) const {
        return moments_[tile_list_[static_cast<std::size_t>(t)].set];
    }
    [[nodiscard]] std::size_t group(std::int64_t row) const {
        return static_cast<std::size_t>(groups_.group_of_row(row));
    }
    [[nodiscard]] float scale(std::size_t g) const { return matrix_.scale(static_cast<std::int64_t>(g)); }
    [[nodiscard]] float offset(std::size_t g) const { return matrix_.offset(static_cast<std::int64_t>(g)); }
    [[nodiscard]] std::size_t book(std::size_t g) const {
        return static_cast<std::size_t>(matrix_.layout.codebook_of(static_cast<std::int64_t>(g)));
    }
    [[nodiscard]] std::span<float> codebook(std::size_t b) {
        return matrix_.codebooks.values<float>().subspan(b * static_cast<std::size_t>(k_),
                                                         static_cast<std::size_t>(k_));
    }

    /// Tiles hold rows that share second moments, in stored order.
    void cut_into_tiles(const LayerProblem& problem) {
        const auto sets = problem.row_sets();
        const auto rows_of_sets = stored_rows(sets, matrix_);
        for (std::size_t set = 0; set < sets.size(); ++set) {
            moments_.push_back(
                damp(sets[set].second_moments, problem.samples, parameters_.damping, log_.notes));
            const auto& rows = rows_of_sets[set];
            for (std::size_t first = 0; first < rows.size(); first += static_cast<std::size_t>(lanes))
                tile_list_.push_back({rows_of_tiles_.size() + first,
                                      std::min(rows.size() - first, static_cast<std::size_t>(lanes)), set});
            rows_of_tiles_.insert(rows_of_tiles_.end(), rows.begin(), rows.end());
        }
        padded_ = moments_.front().cols;
        tiles_ = static_cast<std::int64_t>(tile_list_.size());
        for (std::int64_t t = 0; t < tiles_; ++t) {
            if (tasks_.empty() || t - tasks_.back().first == tiles_a_task(tiles_) ||
                tile_list_[static_cast<std::size_t>(t)].set !=
                    tile_list_[static_cast<std::size_t>(tasks_.back().first)].set)
                tasks_.emplace_back(t, t);
            tasks_.back().second = t + 1;
        }
    }

    /// Targets (less the offset), H times targets, codes: transposed tiles.
    void load_tiles() {
        target_ = Tensor::empty({tiles_, padded_, lanes});
        moment_target_ = Tensor::empty({tiles_, padded_, lanes});
        codes_ = Tensor::zeros({tiles_, padded_, lanes}, DType::u8);
        energy_.assign(static_cast<std::size_t>(tiles_ * lanes), 0.0);
        parallel_for(tiles_, 1, [&](std::int64_t t, std::int64_t) {
            float* w = tile(target_, t);
            float* hw = tile(moment_target_, t);
            std::uint8_t* codes = tile_codes(t);
            std::fill(w, w + padded_ * lanes, 0.0F);
            std::int64_t l = 0;
            for (const std::int64_t row : tile_rows(t)) {
                const float shift = offset(group(row));
                const float* from = weights_.data<float>() + row * cols_;
                const std::uint8_t* code = matrix_.mapping.data<std::uint8_t>() + row * cols_;
                for (std::int64_t j = 0; j < cols_; ++j) {
                    w[j * lanes + l] = from[j] - shift;
                    codes[j * lanes + l] = code[j];
                }
                ++l;
            }
            kernels_.multiply(padded_, moments(t).matrix.data<float>(), w, hw);
            double* energy = energy_.data() + t * lanes;
            for (std::int64_t j = 0; j < padded_; ++j)
                for (std::int64_t lane = 0; lane < lanes; ++lane)
                    energy[lane] +=
                        static_cast<double>(w[j * lanes + lane]) * static_cast<double>(hw[j * lanes + lane]);
        });
        weights_ = Tensor();
    }

    void store_mapping() {
        parallel_for(tiles_, 1, [&](std::int64_t t, std::int64_t) {
            const std::uint8_t* codes = tile_codes(t);
            for (const std::int64_t row : tile_rows(t)) {
                std::uint8_t* code = matrix_.mapping.data<std::uint8_t>() + row * cols_;
                for (std::int64_t j = 0; j < cols_; ++j) code[j] = codes[j * lanes];
                ++codes;
            }
        });
    }

    using Sums = std::vector<std::pair<std::size_t, GroupSums>>;

    /// Sums of the rows of one task, in row order, one entry for each stretch of rows of one group.
    [[nodiscard]] Sums sum_rows(std::int64_t first_tile, std::int64_t last_tile) {
        // From here on a row's [K, K] outgrows what there is to add to it.
        constexpr int many_codewords = 128;
        const bool in_place = k_ >= many_codewords;
        const auto k = static_cast<std::size_t>(k_);
        const float* second_moments = moments(first_tile).matrix.data<float>();
        // The padding's codes take part, but H is zero there.
        std::vector<double> grams;
        if (!in_place) {
            const std::int64_t tiles = last_tile - first_tile;
            grams.resize(static_cast<std::size_t>(tiles * lanes) * k * k);
            Tensor scratch = Tensor::empty({gram_scratch_bytes(padded_, tiles, k_)}, DType::u8);
            kernels_.code_gram(padded_, tiles, k_, second_moments, tile_codes(first_tile), grams.data(),
                               scratch.data<std::uint8_t>());
        }
        std::vector<std::uint16_t> row_codes(static_cast<std::size_t>(padded_));
        std::vector<float> by_code(k * static_cast<std::size_t>(lanes));
        Sums result;
        for (std::int64_t t = first_tile; t < last_tile; ++t) {
            kernels_.sum_by_code(padded_, k_, tile(moment_target_, t), tile_codes(t), by_code.data());
            std::int64_t l = 0;
            for (const std::int64_t row : tile_rows(t)) {
                if (result.empty() || result.back().first != group(row))
                    result.emplace_back(group(row), GroupSums(k));
                GroupSums& sums = result.back().second;
                if (in_place) {
                    for (std::size_t j = 0; j < row_codes.size(); ++j)
                        row_codes[j] = tile_codes(t)[static_cast<std::int64_t>(j) * lanes + l];
                    kernels_.add_pairs_by_code(padded_, k_, second_moments, row_codes.data(), sums.a.data());
                } else {
                    sums.add_gram(grams.data() +
                                  static_cast<std::size_t>((t - first_tile) * lanes + l) * k * k);
                }
                sums.add_row(by_code.data() + l, lanes, energy_[static_cast<std::size_t>(t * lanes + l)]);
                ++l;
            }
        }
        for (auto& entry : result)
            if (in_place) entry.second.add_transpose();
        return result;
    }

    /// Codebooks (and scales) in closed form.
    Outcome codebook_step() {
        const auto tasks = static_cast<std::int64_t>(tasks_.size());
        const auto books = static_cast<std::size_t>(matrix_.layout.codebooks());
        labels_.assign(books * static_cast<std::size_t>(k_), 0);
        moved_.assign(books, 0);
        std::vector<Outcome> outcomes(group_rows_.size());
        std::vector<std::vector<std::pair<std::size_t, GroupSums>>> open(static_cast<std::size_t>(tasks));
        parallel_for(tasks, 1, [&](std::int64_t task, std::int64_t) {
            const auto [first, end] = tasks_[static_cast<std::size_t>(task)];
            auto sums = sum_rows(first, end);
            for (auto& [g, sum] : sums) {
                if (!matrix_.layout.shared_codebook && sum.rows == group_rows_[g]) {
                    outcomes[g] = solve_group(g, sum);
                } else {
                    open[static_cast<std::size_t>(task)].emplace_back(g, std::move(sum));
                }
            }
        });
        std::vector<GroupSums> totals(group_rows_.size());
        for (const auto& task : open)
            for (const auto& [g, sum] : task) totals[g].add(sum);
        if (matrix_.layout.shared_codebook) {
            outcomes.assign(1, solve_shared(totals));
        } else {
            parallel_for(static_cast<std::int64_t>(totals.size()), 1, [&](std::int64_t g, std::int64_t) {
                const auto i = static_cast<std::size_t>(g);
                if (totals[i].rows > 0) outcomes[i] = solve_group(i, totals[i]);
            });
        }
        Outcome total;
        for (const auto& outcome : outcomes) {
            total.before += outcome.before;
            total.after += outcome.after;
            stuck_codebooks_ += outcome.solved ? 0 : 1;
        }
        relabel();
        return total;
    }

    /// Rounds to what is stored and sorts; the labels' moves are noted for relabel(). Returns the rounded
    /// codebook.
    void accept(std::size_t b, const std::vector<float>& candidate) {
        auto present = codebook(b);
        std::uint8_t* label = labels_.data() + b * static_cast<std::size_t>(k_);
        std::vector<std::uint8_t> order(candidate.size());
        std::iota(order.begin(), order.end(), std::uint8_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [&](std::uint8_t x, std::uint8_t y) { return candidate[x] < candidate[y]; });
        for (std::size_t i = 0; i < order.size(); ++i) {
            present[i] = candidate[order[i]];
            label[order[i]] = static_cast<std::uint8_t>(i);
            if (order[i] != i) moved_[b] = 1;
        }
    }

    static std::vector<float> rounded(const std::vector<double>& values, double unit) {
        std::vector<float> result(values.size());
        std::transform(values.begin(), values.end(), result.begin(),
                       [unit](double v) { return stored(v / unit); });
        return result;
    }

    Outcome solve_group(std::size_t g, const GroupSums& sums) {
        const auto present = codebook(book(g));
        const auto s = static_cast<double>(scale(g));
        Outcome outcome;
        outcome.before = outcome.after = sums.objective(present, s);
        std::vector<double> solution(present.size());
        std::transform(present.begin(), present.end(), solution.begin(),
                       [s](float c) { return s * static_cast<double>(c); });
        if (s == 0 || !minimise(sums, solution)) {
            outcome.solved = s == 0;
            return outcome;
        }
        const auto candidate = rounded(solution, s);
        const double objective = sums.objective(candidate, s);
        if (!(objective <= outcome.before)) return outcome;
        outcome.after = objective;
        accept(book(g), candidate);
        return outcome;
    }

    /// One codebook and a scale for each group: the codebook for the present scales, normalised to a root
    /// mean square of one, then the scales for that codebook.
    Outcome solve_shared(const std::vector<GroupSums>& groups) {
        const auto present = codebook(0);
        GroupSums total;
        Outcome outcome;
        for (std::size_t g = 0; g < groups.size(); ++g) {
            const auto s = static_cast<double>(scale(g));
            GroupSums scaled = groups[g];
            for (double& v : scaled.a) v *= s * s;
            for (double& v : scaled.b) v *= s;
            total.add(scaled);
            outcome.before += groups[g].objective(present, s);
        }
        outcome.after = outcome.before;
        std::vector<double> solution(present.begin(), present.end());
        if (!minimise(total, solution)) {
            outcome.solved = false;
            return outcome;
        }
        double unit = 1;
        if (matrix_.scales.defined()) {
            unit = std::sqrt(std::inner_product(solution.begin(), solution.end(), solution.begin(), 0.0) /
                             static_cast<double>(k_));
            if (!(unit > 0)) return outcome;
        }
        const auto candidate = rounded(solution, unit);
        std::vector<float> scales(groups.size(), 1.0F);
        double objective = 0;
        for (std::size_t g = 0; g < groups.size(); ++g) {
            if (matrix_.scales.defined()) {
                const double curvature = groups[g].curvature(candidate);
                const double best = curvature > 0 ? groups[g].overlap(candidate) / curvature : 0.0;
                scales[g] = stored(best > 0 ? best : static_cast<double>(scale(g)) * unit);
            }
            objective += groups[g].objective(candidate, static_cast<double>(scales[g]));
        }
        if (!(objective <= outcome.before)) return outcome;
        outcome.after = objective;
        if (matrix_.scales.defined()) std::copy(scales.begin(), scales.end(), matrix_.scales.data<float>());
        accept(0, candidate);
        return outcome;
    }

    void relabel() {
        if (std::none_of(moved_.begin(), moved_.end(), [](char m) { return m != 0; })) return;
        parallel_for(tiles_, 1, [&](std::int64_t t, std::int64_t) {
            std::uint8_t* codes = tile_codes(t);
            for (const std::int64_t row : tile_rows(t)) {
                const std::size_t b = book(group(row));
                const std::uint8_t* label = labels_.data() + b * static_cast<std::size_t>(k_);
                for (std::int64_t j = 0; moved_[b] != 0 && j < cols_; ++j)
                    codes[j * lanes] = label[codes[j * lanes]];
                ++codes;
            }
        });
    }

    /// One cycle of coordinate descent in all rows.
    void mapping_step() {
        parallel_for(tiles_, 1, [&](std::int64_t t, std::int64_t) {
            const std::int64_t size = padded_ * lanes;
            Tensor scratch = Tensor::empty({2 * size + 2 * k_ * lanes});
            float* value = scratch.data<float>();
            float* residual = value + size;
            float* codewords = residual + size;
            float* thresholds = codewords + k_ * lanes;
            std::fill(codewords, codewords + k_ * lanes, 0.0F);
            std::int64_t lane = 0;
            for (const std::int64_t row : tile_rows(t)) {
                const std::size_t g = group(row);
                const auto c = codebook(book(g));
                for (int i = 0; i < k_; ++i)
                    codewords[i * lanes + lane] = scale(g) * c[static_cast<std::size_t>(i)];
                ++lane;
            }
            for (std::int64_t i = 0; i < (k_ - 1) * lanes; ++i)
                thresholds[i] = 0.5F * codewords[i] + 0.5F * codewords[i + lanes];
            const float* target = tile(target_, t);
            std::uint8_t* codes = tile_codes(t);
            for (std::int64_t j = 0; j < padded_; ++j) {
                for (std::int64_t l = 0; l < lanes; ++l) {
                    const std::int64_t i = j * lanes + l;
                    value[i] = codewords[codes[i] * lanes + l];
                    residual[i] = value[i] - target[i];
                }
            }
            kernels_.descend(padded_, moments(t).matrix.data<float>(),
                             moments(t).inverse_diagonal.data<float>(), k_, codewords, thresholds, value,
                             residual, codes);
        });
    }

    CompressedMatrix& matrix_;
    const LnqParameters& parameters_;
    const LnqKernels& kernels_;
    std::int64_t cols_;
    int k_;
    std::int64_t tiles_ = 0;
    std::int64_t padded_ = 0;
    GroupMap groups_;
    std::vector<std::int64_t> group_rows_;
    std::vector<DampedMoments> moments_;  ///< one, or one for each set of rows
    std::vector<Tile> tile_list_;
    std::vector<std::int64_t> rows_of_tiles_;
    std::vector<std::pair<std::int64_t, std::int64_t>>
        tasks_;                              ///< of the codebook step: tiles [first, end) of one set
    Tensor weights_;                         ///< stored order; only while tiles are made
    Tensor target_, moment_target_, codes_;  ///< [tiles, padded columns, lanes]
    std::vector<double> energy_;             ///< w^T H w of each row
    std::vector<std::uint8_t> labels_;       ///< new label of each codeword
    std::vector<char> moved_;                ///< codebooks whose labels changed
    std::int64_t stuck_codebooks_ = 0;
    SolverLog log_;
};

}  // namespace

SolverLog solve_lnq(const LayerProblem& problem, CompressedMatrix& matrix, const LnqParameters& parameters) {
    const Layout& layout = matrix.layout;
    begin_solving(
        "lnq", problem, matrix,
        layout.dimension == 1 && layout.residual == 1 && layout.column_group == 0 && matrix.outliers.empty(),
        "scalar codewords in one stage over whole rows, without outliers");
    require_positive_scales(problem.name, matrix);
    return Lnq(problem, matrix, parameters).run();
}

}  // namespace jlcm
