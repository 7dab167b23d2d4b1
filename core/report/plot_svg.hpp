#pragma once
// A plot as SVG, which is the picture in print and the one on a page alike.

#include "core/report/plot.hpp"

#include <string>

namespace jlcm {

/// An <svg> element. Titles of marks say what a mark is, so that viewers show it under the pointer. A script
/// finds its way by classes and attributes: `g.key[data-series]` are the entries of the legend, or labels
/// beside the curves; `g.series[data-series]` what they stand for; `[data-runs]` holds the RunRecord::id() of
/// the runs that a mark is made of, apart by blanks; `g.panel` has the axes in `data-x` and `data-y` ("low high
/// linear|log") and its place in `data-box` ("left top width height"). The same plot gives the same bytes.
/// An input error if there is nothing to draw.
[[nodiscard]] std::string to_svg(const Plot& plot);

}  // namespace jlcm
