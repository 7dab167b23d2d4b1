#pragma once
// A plot as data. One description makes the picture on a page and the picture in print
// (core/report/plot_svg.hpp).

#include "core/report/palette.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace jlcm {

struct PlotPoint {
    double x = 0;
    double y = 0;
    double error = 0;                    ///< standard error of y (of x on an axis of names); 0: none
    std::string note = {};               ///< shown while the pointer rests on it; empty: the figures alone
    std::vector<std::string> runs = {};  ///< what it is made of, as RunRecord::id(); empty: the series' runs
};

/// How points are drawn.
enum class Mark : std::uint8_t {
    line,    ///< joined, with a band of one standard error
    joined,  ///< markers with error bars, joined by a thin line
    points,  ///< markers with error bars
    area,    ///< filled down to the axis
    stems,   ///< a line from the axis to each point
    bars,    ///< a part of a stacked bar: x is its length, y the number of the name it belongs to
};

struct PlotSeries {
    std::string title;
    LineStyle style = {};
    Mark mark = Mark::line;
    std::vector<PlotPoint> points = {};
    std::vector<std::string> runs = {};  ///< what it is made of, as RunRecord::id()
    bool is_context = false;             ///< grey, behind the others and in no legend
};

/// A matrix of numbers as an image; the first row is on top.
struct PlotGrid {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<double> values = {};           ///< row by row; NaN: nothing there
    std::vector<std::string> row_names = {};   ///< a name a row; empty: numbers
    std::vector<std::size_t> row_groups = {};  ///< a group a row, shown as a strip of colours; empty: none
    double first_col = 0;                      ///< what the left edge stands for
    double last_col = 0;                       ///< and the right one; equal: nothing
    double low = 0;                            ///< the value of the lightest colour
    double high = 1;                           ///< and of the darkest
    std::vector<std::string> runs = {};        ///< what it is made of, as RunRecord::id()
};

struct PlotPanel {
    std::string title;
    std::vector<PlotSeries> series = {};
    PlotGrid grid = {};        ///< in place of series if it has rows
    std::string x_label = {};  ///< empty: that of the plot
    std::string remark = {};   ///< what is not drawn, and why
};

/// A horizontal line in every panel.
struct PlotLevel {
    double y = 0;
    std::string title;
};

struct Plot {
    std::string title;
    std::string x_label;
    std::string y_label;
    bool log_x =
        false;  ///< asked for; done if the values are positive and span a factor of 10 (with `names` of 3)
    bool log_y = false;       ///< asked for; done if the values are positive and span a factor of 3
    bool low_is_good = true;  ///< at which end what is not finite is marked
    bool shares_x = true;     ///< all panels have one x axis
    bool shares_y = true;
    std::vector<std::string> names =
        {};  ///< of the places 0, 1, ... on the y axis, from the top; empty: numbers
    std::vector<PlotPanel> panels = {};
    std::vector<PlotLevel> levels = {};
    std::string remark = {};  ///< what is not drawn in any panel, and why
};

/// Whether there is a point or a cell to draw: with a finite number, above 0 on a logarithmic axis.
[[nodiscard]] bool has_points(const Plot& plot);

}  // namespace jlcm
