#include "core/codebook/even_grid.hpp"

#include "core/base/half.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace jlcm {
namespace {

constexpr int regressions = 8;  // mapping and regression in turn; groups settle in a few
constexpr std::array<float, 4> shrinks{1.0F, 0.8F, 0.65F, 0.5F};

Affine stored(double scale, double offset) {
    return {f16_rounded(static_cast<float>(scale)), f16_rounded(static_cast<float>(offset))};
}

Affine over_range(std::span<const float> values, std::span<const float> codewords, float shrink,
                  bool with_offset) {
    const auto [low, high] = std::ranges::minmax(values);
    if (!with_offset) {
        const float reach = std::max(std::abs(codewords.front()), std::abs(codewords.back()));
        const float largest = std::max(std::abs(low), std::abs(high));
        return stored(reach > 0 ? static_cast<double>(shrink * largest / reach) : 0.0, 0.0);
    }
    const double width = static_cast<double>(codewords.back()) - static_cast<double>(codewords.front());
    const double spread =
        static_cast<double>(shrink) * (static_cast<double>(high) - static_cast<double>(low));
    const double scale = width > 0 ? spread / width : 0.0;
    const double middle = (static_cast<double>(high) + static_cast<double>(low)) / 2;
    const double centre =
        (static_cast<double>(codewords.back()) + static_cast<double>(codewords.front())) / 2;
    return stored(scale, middle - scale * centre);
}

/// What regression of values on their codewords needs.
struct Sums {
    double weight = 0;
    double code = 0;
    double value = 0;
    double code_code = 0;
    double code_value = 0;
    double error = 0;  ///< squared, of the present grid
};

/// Maps to the nearest codeword of the grid as it stands.
Sums measure(std::span<const float> values, std::span<const float> weights, std::span<const float> codewords,
             const Affine& grid) {
    std::array<float, 256> thresholds{};
    for (std::size_t k = 0; k + 1 < codewords.size(); ++k)
        thresholds[k] = grid.scale * 0.5F * (codewords[k] + codewords[k + 1]) + grid.offset;
    const std::span<const float> borders(thresholds.data(), codewords.size() - 1);
    Sums sums;
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::size_t code = 0;
        if (borders.size() <= 15) {
            for (const float border : borders) code += values[i] > border ? 1 : 0;
        } else {
            code = static_cast<std::size_t>(std::ranges::lower_bound(borders, values[i]) - borders.begin());
        }
        const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i]);
        const auto c = static_cast<double>(codewords[code]);
        const auto v = static_cast<double>(values[i]);
        const double distance = v - (static_cast<double>(grid.scale) * c + static_cast<double>(grid.offset));
        sums.weight += weight;
        sums.code += weight * c;
        sums.value += weight * v;
        sums.code_code += weight * c * c;
        sums.code_value += weight * c * v;
        sums.error += weight * distance * distance;
    }
    return sums;
}

/// The best scale (and offset) for the codewords that the values have now; the grid as it is where they do
/// not determine one.
Affine regress(const Sums& sums, const Affine& grid, bool with_offset) {
    if (!with_offset) {
        if (!(sums.code_code > 0)) return grid;
        return stored(std::max(0.0, sums.code_value / sums.code_code), 0.0);
    }
    const double spread = sums.code_code - sums.code * sums.code / sums.weight;
    if (!(spread > 1e-12 * sums.code_code)) return grid;
    const double scale = (sums.code_value - sums.code * sums.value / sums.weight) / spread;
    if (!(scale > 0)) return grid;
    return stored(scale, (sums.value - scale * sums.code) / sums.weight);
}

std::vector<float> shared_grid(std::size_t words, GridLevels levels, bool with_offset) {
    std::vector<float> grid(words);
    for (std::size_t k = 0; k < words; ++k) {
        const auto level = static_cast<float>(k);
        const auto last = static_cast<float>(words - 1);
        if (levels == GridLevels::unit)
            grid[k] = -1.0F + 2.0F * level / last;
        else
            grid[k] = with_offset ? level : 2.0F * level - last;
    }
    return grid;
}

}  // namespace

Affine fit_grid(std::span<const float> values, std::span<const float> weights,
                std::span<const float> codewords, GridFit fit, bool with_offset) {
    ensure(codewords.size() >= 2 && codewords.size() <= 256, "a grid of {} codewords", codewords.size());
    if (values.empty()) return {};
    if (fit == GridFit::range) return over_range(values, codewords, 1.0F, with_offset);
    if (!std::ranges::any_of(weights, [](float weight) { return weight > 0; })) weights = {};
    Affine best;
    double least = std::numeric_limits<double>::infinity();
    for (const float shrink : shrinks) {
        Affine grid = over_range(values, codewords, shrink, with_offset);
        double former = std::numeric_limits<double>::infinity();
        for (int i = 0; i <= regressions; ++i) {
            const Sums sums = measure(values, weights, codewords, grid);
            if (sums.error < least) {
                least = sums.error;
                best = grid;
            }
            if (!(sums.error < former)) break;
            former = sums.error;
            grid = regress(sums, grid, with_offset);
        }
    }
    return best;
}

CompressedMatrix fill_even_grids(const LayerProblem& problem, const GroupedRows& grouped,
                                 const ImportanceOfRow& importance, const GridOptions& options) {
    const auto words = static_cast<std::size_t>(grouped.layout.codewords());
    if (grouped.layout.shared_codebook) {
        const std::vector<float> grid = shared_grid(words, options.levels, grouped.offsets);
        return fill_codebooks(
            problem, grouped, importance,
            [&](std::span<const float>, std::span<const float>, std::span<float> codewords) {
                std::ranges::copy(grid, codewords.begin());
            },
            [&](std::span<const float> values, std::span<const float> weights) {
                return fit_grid(values, weights, grid, options.fit, grouped.offsets);
            });
    }
    const std::vector<float> unit = shared_grid(words, GridLevels::unit, true);
    return fill_codebooks(
        problem, grouped, importance,
        [&](std::span<const float> values, std::span<const float> weights, std::span<float> codewords) {
            const Affine grid = fit_grid(values, weights, unit, options.fit, true);
            for (std::size_t k = 0; k < words; ++k) codewords[k] = grid.scale * unit[k] + grid.offset;
        });
}

}  // namespace jlcm
