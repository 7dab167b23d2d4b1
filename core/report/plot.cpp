#include "core/report/plot.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {

bool has_points(const Plot& plot) {
    return std::ranges::any_of(plot.panels, [&](const PlotPanel& panel) {
        const bool has_cells = panel.grid.rows > 0 && std::ranges::any_of(panel.grid.values, [](double v) {
                                   return std::isfinite(v);
                               });
        return has_cells || std::ranges::any_of(panel.series, [&](const PlotSeries& series) {
                   return std::ranges::any_of(series.points, [&](const PlotPoint& point) {
                       return std::isfinite(point.x) && std::isfinite(point.y) &&
                              (!plot.log_x || point.x > 0) && (!plot.log_y || point.y > 0);
                   });
               });
    });
}

}  // namespace jlcm
