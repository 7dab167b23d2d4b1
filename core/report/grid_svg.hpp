#pragma once
// A matrix of numbers as a part of an SVG picture.

#include "core/report/plot.hpp"

#include <string>

namespace jlcm {

struct GridPlace {
    double left = 0;
    double top = 0;
    double width = 0;
    double height = 0;
};

/// Cells with their figures as titles where rows have names, otherwise one image; where rows have groups, a strip of the
/// groups' colours to the left. `what`: of the figures, for titles.
[[nodiscard]] std::string grid_svg(const PlotGrid& grid, const GridPlace& place, const std::string& what);

/// What the colours of a grid in this place stand for, to its right.
[[nodiscard]] std::string scale_svg(const PlotGrid& grid, const GridPlace& place);

}  // namespace jlcm
