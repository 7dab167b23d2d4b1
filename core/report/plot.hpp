#pragma once
// A plot as data, and its drawing by gnuplot.

#include <filesystem>
#include <string>
#include <vector>

namespace jlcm {

struct PlotSeries {
    std::string title;
    std::vector<double> x;
    std::vector<double> y;
    std::vector<double> error = {};  ///< of y, standard errors; empty: none
};

struct Plot {
    enum class Style { lines, points, stacked_bars, filled };
    std::string title;
    std::string x_label;
    std::string y_label;
    Style style = Style::lines;
    bool log_y = false;  ///< where the values span more than a decade
    /// Of stacked bars: the names of the bars; series are the parts, their y a number for each bar.
    std::vector<std::string> bars = {};
    std::vector<PlotSeries> series = {};
};

/// Whether there is a point to draw: a finite number, above 0 on a logarithmic axis.
[[nodiscard]] bool has_points(const Plot& plot);

/// Draws into an .svg or .png file. Input errors: another extension, nothing to draw, or no gnuplot on this
/// machine.
void draw(const Plot& plot, const std::filesystem::path& file);

/// The plot as an <svg> element, for HTML.
[[nodiscard]] std::string to_svg(const Plot& plot);

/// Whether draw() finds gnuplot.
[[nodiscard]] bool can_draw();

}  // namespace jlcm
