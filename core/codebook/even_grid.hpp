#pragma once
// Even grids, what integer formats have: codewords that are equally far apart, one grid a codebook or one
// shared grid that every group scales and shifts.

#include "core/codebook/codebook_init.hpp"

#include <span>

namespace jlcm {

/// How a grid is laid over the values of a group.
enum class GridFit : std::uint8_t { range, least_squares };
inline EnumNames<GridFit> enum_names(GridFit /*tag*/) {
    return {{GridFit::range, "range", "from the least to the largest value; outliers set the spacing"},
            {GridFit::least_squares, "least_squares",
             "least squared error, each weight counting as much as its input's second moment if that is "
             "known: values beyond the grid are clipped if that helps"}};
}

/// The shared grid that groups scale.
enum class GridLevels : std::uint8_t { unit, whole };
inline EnumNames<GridLevels> enum_names(GridLevels /*tag*/) {
    return {
        {GridLevels::unit, "unit", "from -1 to 1, so that a group's offset is the middle of its weights"},
        {GridLevels::whole, "whole",
         "whole numbers, so that a group's scale is its step: 0, 1, 2, ... with an offset, the odd numbers about "
         "0 without one. With whole blocks of 32 columns in a group, `jlcm-export --type exact` writes such "
         "matrices in GGUF's integer types"}};
}

/// How even grids are made.
struct GridOptions {
    GridFit fit = GridFit::range;
    GridLevels levels = GridLevels::unit;
    void fields(Fields& v) {
        v("fit", fit, Doc{"How the grid is laid over a group's weights."});
        v("levels", levels, Doc{"Codewords of a codebook that groups share, before their scales."});
    }
};

/// What the fit reads: least squares weighs errors by second moments.
[[nodiscard]] inline DataNeeds needs_of(GridFit fit) {
    return {.second_moments = fit == GridFit::least_squares, .can_do_without = true};
}

/// Lays `codewords` (ascending, at least two values) over `values`: by range, the first and the last codeword
/// reach the least and the largest value; without an offset codewords times scale reach the largest
/// magnitude. By least squares, several such ranges, shrunk about their middle, are each improved by mapping
/// to the nearest and regression in turn; the one with the least error wins. `weights`: empty, or the
/// importance of each value. Scale and offset are float16 values. No values: zeros.
[[nodiscard]] Affine fit_grid(std::span<const float> values, std::span<const float> weights,
                              std::span<const float> codewords, GridFit fit, bool with_offset);

/// Every group on an even grid. Groups that share one codebook get it as the options say, with a scale each and an
/// offset where `grouped` says so; other groups have a codebook of their own. Every weight is mapped to its
/// nearest codeword.
[[nodiscard]] CompressedMatrix fill_even_grids(const LayerProblem& problem, const GroupedRows& grouped,
                                               const ImportanceOfRow& importance, const GridOptions& options);

}  // namespace jlcm
