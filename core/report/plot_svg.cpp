#include "core/report/plot_svg.hpp"

#include "core/base/error.hpp"
#include "core/report/grid_svg.hpp"
#include "core/report/plot_axis.hpp"
#include "core/report/run_table.hpp"
#include "core/report/table_formats.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

namespace jlcm {
namespace {

constexpr double text_size = 12;
constexpr double line_height = 16;
constexpr double row_height = 19;  ///< of a name with its bar or point
constexpr double gap_of_panels = 26;
constexpr const char* ink = "#333333";
constexpr const char* pale = "#e3e3e3";
constexpr const char* context_colour = "#c4c4c4";

double width_of_text(const std::string& text) {
    return 0.55 * text_size * static_cast<double>(width_of(text));
}

/// "a b c"
std::string joined(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " "));
}

std::string runs_attribute(const std::vector<std::string>& runs) {
    return runs.empty() ? "" : fmt::format(" data-runs=\"{}\"", html_text(joined(runs)));
}

std::vector<std::string> unique(std::vector<std::string> texts) {
    std::ranges::sort(texts);
    const auto rest = std::ranges::unique(texts);
    texts.erase(rest.begin(), rest.end());
    return texts;
}

const char* dash_array(Dash dash) {
    switch (dash) {
        case Dash::dashed:
            return " stroke-dasharray=\"6 3\"";
        case Dash::dotted:
            return " stroke-dasharray=\"2 2\"";
        case Dash::dash_dotted:
            return " stroke-dasharray=\"7 2 2 2\"";
        default:
            return "";
    }
}

std::string marker(const LineStyle& style, double x, double y, double r = 3.6) {
    const bool is_filled = style.dash == Dash::solid;
    const std::string paint =
        is_filled ? fmt::format("fill=\"{}\"", style.colour)
                  : fmt::format("fill=\"#ffffff\" stroke=\"{}\" stroke-width=\"1.5\"", style.colour);
    switch (style.marker) {
        case Marker::square:
            return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" {}/>",
                               x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r, paint);
        case Marker::triangle:
            return fmt::format("<path d=\"M{:.1f} {:.1f}h{:.1f}l{:.1f} {:.1f}z\" {}/>", x - 1.1 * r,
                               y + 0.8 * r, 2.2 * r, -1.1 * r, -1.9 * r, paint);
        case Marker::diamond:
            return fmt::format("<path d=\"M{:.1f} {:.1f}l{:.1f} {:.1f}l{:.1f} {:.1f}l{:.1f} {:.1f}z\" {}/>",
                               x, y - 1.3 * r, 1.3 * r, 1.3 * r, -1.3 * r, 1.3 * r, -1.3 * r, -1.3 * r,
                               paint);
        default:
            return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" {}/>", x, y, r, paint);
    }
}

std::string line(double x1, double y1, double x2, double y2, const std::string& colour, double width = 1,
                 const char* more = "") {
    return fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"{}/>",
        x1, y1, x2, y2, colour, width, more);
}

struct Box {
    double left = 0;
    double top = 0;
    double width = 0;
    double height = 0;
    [[nodiscard]] double right() const { return left + width; }
    [[nodiscard]] double bottom() const { return top + height; }
    [[nodiscard]] double overlap(const Box& other) const {
        const double w = std::min(right(), other.right()) - std::max(left, other.left);
        const double h = std::min(bottom(), other.bottom()) - std::max(top, other.top);
        return w > 0 && h > 0 ? w * h : 0;
    }
};

/// Where a label starts, its text and its colour.
struct Label {
    std::string title;
    std::string colour;
    double x = 0;
    double y = 0;
};

/// Moves labels in ascending order of y apart, as little as that takes and within [top, bottom].
void spread(std::vector<Label>& labels, double top, double bottom) {
    std::ranges::stable_sort(labels, {}, &Label::y);
    double least = top;
    for (Label& label : labels) {
        label.y = std::max(label.y, least);
        least = label.y + line_height * 0.9;
    }
    double most = bottom;
    for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
        label->y = std::min(label->y, most);
        most = label->y - line_height * 0.9;
    }
}

class Drawing {
  public:
    explicit Drawing(const Plot& plot) : plot_(plot) {
        for (const PlotPanel& panel : plot.panels)
            for (const PlotSeries& series : panel.series) {
                if (series.is_context) continue;
                const std::size_t s = number_of(series.title);
                if (s == titles_.size()) {
                    titles_.push_back(series.title);
                    styles_.push_back({series.style, series.mark});
                }
                if (series.mark == Mark::joined) styles_[s].mark = Mark::joined;
            }
        labelling_ = labelling();
    }

    std::string svg() {
        const bool is_one = plot_.panels.size() == 1;
        columns_ = is_one ? 1 : columns_for(plot_.panels.size());
        width_ = is_one ? 640 : 960;
        const double left = left_margin();
        const double right = labelling_ == Labelling::margin ? margin_of_labels() : has_grid() ? 62 : 14;
        const double gap = gap_between();
        panel_width_ =
            (width_ - left - right - gap * static_cast<double>(columns_ - 1)) / static_cast<double>(columns_);
        panel_height_ = height_of_panel();
        std::string body = heading();
        double top = 30 + legend_height_ + (is_one ? 6 : 20);
        const double step =
            panel_height_ + gap_of_panels + 24 + (plot_.panels.front().x_label.empty() ? 0 : 16);
        const std::size_t lines = (plot_.panels.size() + columns_ - 1) / columns_;
        for (std::size_t p = 0; p < plot_.panels.size(); ++p) {
            const std::size_t line = p / columns_;
            const Box box{left + static_cast<double>(p % columns_) * (panel_width_ + gap),
                          top + static_cast<double>(line) * step, panel_width_, panel_height_};
            body += panel(plot_.panels[p], box, p % columns_ == 0,
                          (p + 1) % columns_ == 0 || p + 1 == plot_.panels.size());
        }
        double bottom = top + step * static_cast<double>(lines) - gap_of_panels - 2;
        body +=
            shared_labels(left, top + (step * static_cast<double>(lines - 1) + panel_height_) / 2, bottom);
        bottom += plot_.x_label.empty() ? 2 : 18;
        std::vector<std::string> remarks{plot_.remark};
        for (const PlotPanel& panel : plot_.panels)
            remarks.push_back(panel.remark.empty() || panel.title.empty()
                                  ? panel.remark
                                  : panel.title + ": " + panel.remark);
        for (const std::string& remark : remarks) {
            if (remark.empty()) continue;
            for (const std::string& row : wrapped(remark, (width_ - 20) / (0.55 * 11))) {
                body += text(row, 10, bottom + 10, "start", 11, "#777777", " class=\"remark\"");
                bottom += 14;
            }
        }
        return fmt::format(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
            "width=\"{0:.0f}\" height=\"{1:.0f}\" role=\"img\" aria-label=\"{2}\" font-family=\"Helvetica, Arial, "
            "'DejaVu Sans', sans-serif\" font-size=\"{3}\">\n<rect class=\"ground\" width=\"100%\" height=\"100%\" "
            "fill=\"#ffffff\"/>\n{4}</svg>\n",
            width_, bottom + 6, html_text(plot_.title), text_size, body);
    }

  private:
    enum class Labelling { none, near, margin, legend };
    struct Key {
        LineStyle style;
        Mark mark = Mark::line;
    };

    [[nodiscard]] bool has_grid() const { return plot_.panels.front().grid.rows > 0; }

    /// Names stand beside their marks where there is room, otherwise in a legend.
    [[nodiscard]] Labelling labelling() const {
        if (has_grid() || titles_.empty()) return Labelling::none;
        if (!plot_.names.empty()) return titles_.size() > 1 ? Labelling::legend : Labelling::none;
        bool are_few = titles_.size() <= 14 && plot_.panels.size() <= 2;
        bool are_curves = true;
        for (const PlotPanel& panel : plot_.panels)
            for (const PlotSeries& series : panel.series) {
                if (series.is_context) continue;
                are_few = are_few && series.points.size() == 1 && series.mark == Mark::points;
                are_curves = are_curves && (series.mark == Mark::line || series.mark == Mark::joined);
            }
        if (are_few) return Labelling::near;
        if (titles_.size() == 1 && plot_.panels.size() > 1) return Labelling::none;
        return plot_.panels.size() == 1 && are_curves && titles_.size() <= 14 ? Labelling::margin
                                                                              : Labelling::legend;
    }

    static std::size_t columns_for(std::size_t panels) {
        if (panels <= 3) return panels;
        if (panels == 4) return 2;
        return panels <= 6 || panels == 9 ? 3 : 4;
    }

    [[nodiscard]] double left_margin() const {
        double widest = 34;
        for (const std::string& name : plot_.names) widest = std::max(widest, width_of_text(name) + 8);
        for (const PlotPanel& panel : plot_.panels)
            for (const std::string& name : panel.grid.row_names)
                widest = std::max(widest, width_of_text(name) + 8);
        return std::min(widest, 300.0) + (plot_.y_label.empty() ? 8 : 24);
    }

    [[nodiscard]] double gap_between() const {
        if (!plot_.names.empty() && plot_.shares_y) return 16;
        if (has_grid()) return plot_.panels.front().grid.row_names.empty() ? 34 : left_margin();
        return plot_.shares_y ? 20 : 46;
    }

    [[nodiscard]] double margin_of_labels() const {
        double widest = 0;
        for (const std::string& title : titles_) widest = std::max(widest, width_of_text(title));
        return std::min(widest, 260.0) + 26;
    }

    [[nodiscard]] double height_of_panel() const {
        if (!plot_.names.empty()) return row_height * static_cast<double>(plot_.names.size());
        if (has_grid()) {
            const PlotGrid& grid = plot_.panels.front().grid;
            if (!grid.row_names.empty()) return 20 * static_cast<double>(grid.rows);
            return plot_.panels.size() <= 2 ? 380 : 240;
        }
        if (plot_.panels.size() == 1) return 330;
        return std::clamp(panel_width_ * 0.8, 150.0, 300.0);
    }

    static std::string text(const std::string& words, double x, double y, const char* anchor,
                            double size = text_size, const std::string& colour = ink,
                            const std::string& more = "") {
        return fmt::format(
            "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" fill=\"{}\"{}>{}</text>\n",
            x, y, anchor, size, colour, more, html_text(words));
    }

    /// The title and, if there is one, the legend.
    std::string heading() {
        std::string result = text(plot_.title, 10, 20, "start", 14, "#111111", " font-weight=\"bold\"");
        if (labelling_ != Labelling::legend) return result;
        double x = 10;
        double y = 42;
        for (std::size_t s = 0; s < titles_.size(); ++s) {
            const double needed = 30 + width_of_text(titles_[s]) + 16;
            if (x > 10 && x + needed > width_) {
                x = 10;
                y += line_height + 2;
            }
            result += key(s, swatch(styles_[s], x, y - 4) + text(titles_[s], x + 28, y, "start"));
            x += needed;
        }
        legend_height_ = y - 30 + 4;
        return result;
    }

    static std::string swatch(const Key& key, double x, double y) {
        if (key.mark == Mark::bars || key.mark == Mark::area)
            return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"22\" height=\"10\" fill=\"{}\"/>", x,
                               y - 5, key.style.colour);
        std::string result;
        if (key.mark != Mark::points)
            result = line(x, y, x + 22, y, key.style.colour, 2, dash_array(key.style.dash));
        if (key.mark != Mark::line && key.mark != Mark::stems) result += marker(key.style, x + 11, y);
        return result;
    }

    static std::string key(std::size_t series, const std::string& content) {
        return fmt::format("<g class=\"key\" data-series=\"{}\">{}</g>\n", series, content);
    }

    [[nodiscard]] std::size_t number_of(const std::string& title) const {
        return static_cast<std::size_t>(std::ranges::find(titles_, title) - titles_.begin());
    }

    // ---- axes ----

    [[nodiscard]] std::vector<double> values(const PlotPanel& own, bool is_shared, bool of_x) const {
        std::vector<double> found;
        for (const PlotPanel& panel : plot_.panels) {
            if (!is_shared && &panel != &own) continue;
            for (const PlotSeries& series : panel.series) {
                if (!of_x && series.mark == Mark::line) {
                    add_ends(series, found);
                    continue;
                }
                for (const PlotPoint& point : series.points) {
                    const double value = of_x ? point.x : point.y;
                    if (series.mark == Mark::bars || !std::isfinite(of_x ? point.y : point.x)) continue;
                    found.push_back(value);
                    const bool has_error = of_x != plot_.names.empty() && point.error > 0;
                    if (has_error && series.mark != Mark::line) {
                        found.push_back(value + point.error);
                        if (!(of_x ? plot_.log_x : plot_.log_y) || value > 1.5 * point.error)
                            found.push_back(value - point.error);
                    }
                    if (!of_x && (series.mark == Mark::area || series.mark == Mark::stems))
                        found.push_back(0);
                }
            }
            for (const auto& [name, length] : lengths_of_bars(panel))
                if (of_x) found.insert(found.end(), {0.0, length});
        }
        if (!of_x)
            for (const PlotLevel& level : plot_.levels) found.push_back(level.y);
        return found;
    }

    /// Of a curve its ends alone, so that it is a whole curve that may lie far outside, and never a peak of one.
    static void add_ends(const PlotSeries& series, std::vector<double>& found) {
        std::vector<double> values;
        for (const PlotPoint& point : series.points)
            if (std::isfinite(point.x) && std::isfinite(point.y)) values.push_back(point.y);
        if (values.empty()) return;
        const auto [least, most] = std::ranges::minmax(values);
        found.insert(found.end(), {least, most});
    }

    static std::map<double, double> lengths_of_bars(const PlotPanel& panel) {
        std::map<double, double> lengths;
        for (const PlotSeries& series : panel.series)
            if (series.mark == Mark::bars)
                for (const PlotPoint& point : series.points)
                    if (std::isfinite(point.x)) lengths[point.y] += point.x;
        return lengths;
    }

    [[nodiscard]] Axis x_axis(const PlotPanel& panel) const {
        bool are_curves = true;
        bool has_bars = false;
        for (const PlotSeries& series : panel.series) {
            are_curves = are_curves && (series.mark == Mark::line || series.mark == Mark::area);
            has_bars = has_bars || series.mark == Mark::bars;
        }
        return robust_axis(values(panel, plot_.shares_x, true),
                           {.log = plot_.log_x,
                            .log_from = plot_.names.empty() ? 10.0 : 3.0,
                            .whole = has_bars || plot_.names.empty(),
                            .margin = are_curves                      ? 0
                                      : labelling_ == Labelling::near ? 0.12
                                                                      : 0.05,
                            .ticks = panel_width_ < 260 ? 4 : 6});
    }

    /// Whether heights are compared on the panel's y axis: it then takes all of them.
    [[nodiscard]] bool has_heights(const PlotPanel& own) const {
        return std::ranges::any_of(plot_.panels, [&](const PlotPanel& panel) {
            return (plot_.shares_y || &panel == &own) &&
                   std::ranges::any_of(panel.series, [](const PlotSeries& series) {
                       return series.mark == Mark::area || series.mark == Mark::stems;
                   });
        });
    }

    [[nodiscard]] Axis y_axis(const PlotPanel& panel) const {
        if (plot_.names.empty())
            return robust_axis(values(panel, plot_.shares_y, false), {.log = plot_.log_y,
                                                                      .whole = has_heights(panel),
                                                                      .margin = 0.06,
                                                                      .ticks = panel_height_ < 220 ? 4 : 6});
        return {.low = -0.5, .high = static_cast<double>(plot_.names.size()) - 0.5};
    }

    // ---- panels ----

    /// What a panel's own marks are made of; empty if there is one that no run made.
    static std::vector<std::string> runs_of(const PlotPanel& panel) {
        std::vector<std::string> runs = panel.grid.runs;
        for (const PlotSeries& series : panel.series) {
            if (series.is_context) continue;
            if (series.runs.empty() &&
                std::ranges::any_of(series.points, [](const PlotPoint& point) { return point.runs.empty(); }))
                return {};
            runs.insert(runs.end(), series.runs.begin(), series.runs.end());
            for (const PlotPoint& point : series.points)
                runs.insert(runs.end(), point.runs.begin(), point.runs.end());
        }
        return unique(std::move(runs));
    }

    /// What the marks beside a name are made of.
    [[nodiscard]] std::vector<std::string> runs_of_name(std::size_t name) const {
        std::vector<std::string> runs;
        for (const PlotPanel& panel : plot_.panels)
            for (const PlotSeries& series : panel.series)
                for (const PlotPoint& point : series.points)
                    if (point.y == static_cast<double>(name))
                        runs.insert(runs.end(), point.runs.begin(), point.runs.end());
        return unique(std::move(runs));
    }

    std::string panel(const PlotPanel& panel, const Box& box, bool is_first, bool is_last) {
        const std::string runs = runs_attribute(runs_of(panel));
        std::string result;
        if (panel.grid.rows > 0) {
            const GridPlace place{box.left, box.top, box.width, box.height};
            if (is_last) result = scale_svg(panel.grid, place);
            result += fmt::format("<g class=\"panel\"{}>\n", runs) + grid_svg(panel.grid, place, plot_.title);
        } else {
            const Axis x = x_axis(panel);
            const Axis y = y_axis(panel);
            const auto attribute = [](const Axis& axis) {
                return fmt::format("{:.6g} {:.6g} {}", axis.low, axis.high, axis.is_log ? "log" : "linear");
            };
            result += fmt::format(
                "<g class=\"panel\" data-x=\"{}\" data-y=\"{}\" data-box=\"{:.1f} {:.1f} {:.1f} {:.1f}\">\n",
                attribute(x), attribute(y), box.left, box.top, box.width, box.height);
            result += frame(x, y, box, is_first || !plot_.shares_y);
            result += content(panel, x, y, box);
        }
        if (!panel.title.empty())
            result += text(panel.title, box.left, box.top - 6, "start", text_size, "#111111",
                           " font-weight=\"bold\"" + runs);
        if (!panel.x_label.empty())
            result += text(panel.x_label, box.left + box.width / 2, box.bottom() + 32, "middle");
        return result + "</g>\n";
    }

    [[nodiscard]] double across(const Axis& axis, const Box& box, double value) const {
        return box.left + axis.share(value) * box.width;
    }
    /// Names go from the top down, numbers upwards.
    [[nodiscard]] double upwards(const Axis& axis, const Box& box, double value) const {
        const double share = axis.share(value);
        return box.top + (plot_.names.empty() ? 1 - share : share) * box.height;
    }

    std::string frame(const Axis& x, const Axis& y, const Box& box, bool has_numbers) const {
        std::string result;
        for (const auto& [tick, words] : y.ticks) {
            const double at = upwards(y, box, tick);
            result += line(box.left, at, box.right(), at, pale) + '\n';
            if (has_numbers) result += text(words, box.left - 5, at + 4, "end", 11);
        }
        for (std::size_t n = 0; n < plot_.names.size(); ++n) {
            const double at = upwards(y, box, static_cast<double>(n));
            result += line(box.left, at, box.right(), at, pale) + '\n';
            if (has_numbers)
                result += text(plot_.names[n], box.left - 7, at + 4, "end", text_size, ink,
                               runs_attribute(runs_of_name(n)));
        }
        double last = box.left - 100;
        for (const auto& [tick, words] : x.ticks) {
            const double at = across(x, box, tick);
            result += line(at, box.bottom(), at, box.bottom() + 4, ink) + '\n';
            if (!plot_.names.empty()) result += line(at, box.top, at, box.bottom(), pale) + '\n';
            const double half = width_of_text(words) / 2;
            if (at - half < last + 4) continue;
            result += text(words, at, box.bottom() + 16, "middle", 11);
            last = at + half;
        }
        result += line(box.left, box.bottom(), box.right(), box.bottom(), ink) + '\n';
        for (const PlotLevel& level : plot_.levels) {
            if (!y.holds(level.y)) continue;
            const double at = upwards(y, box, level.y);
            result += line(box.left, at, box.right(), at, "#666666", 1, " stroke-dasharray=\"3 3\"") + '\n';
            result += text(level.title, box.left + 4, at - 4, "start", 11, "#666666");
        }
        return result;
    }

    std::string content(const PlotPanel& panel, const Axis& x, const Axis& y, const Box& box) {
        std::string result;
        std::map<double, double> ends;  // of the parts of bars that are drawn already
        std::vector<Label> labels;
        std::vector<Box> taken;
        for (const PlotLevel& level : plot_.levels)
            taken.push_back({box.left, upwards(y, box, level.y) - 15, width_of_text(level.title) + 6, 18});
        for (const bool is_context : {true, false})
            for (const PlotSeries& series : panel.series) {
                if (series.is_context != is_context) continue;
                const std::string number =
                    is_context ? "" : fmt::format(" data-series=\"{}\"", number_of(series.title));
                result += fmt::format("<g class=\"series{}\"{}{}>", is_context ? " context" : "", number,
                                      runs_attribute(series.runs));
                result += fmt::format("<title>{}</title>", html_text(series.title));
                result += marks(series, x, y, box, ends) + "</g>\n";
                if (is_context) continue;
                const auto end = std::ranges::find_if(
                    series.points.rbegin(), series.points.rend(),
                    [](const auto& p) { return std::isfinite(p.x) && std::isfinite(p.y); });
                if (end == series.points.rend()) continue;
                labels.push_back(
                    {series.title, series.style.colour, across(x, box, end->x), upwards(y, box, end->y)});
                for (const PlotPoint& point : series.points)
                    taken.push_back({across(x, box, point.x) - 5, upwards(y, box, point.y) - 5, 10, 10});
            }
        if (labelling_ == Labelling::margin) result += margin_labels(labels, box);
        if (labelling_ == Labelling::near) result += near_labels(labels, taken, box);
        return result;
    }

    std::string margin_labels(std::vector<Label> labels, const Box& box) {
        std::vector<double> ends(titles_.size());
        std::vector<double> starts(titles_.size());
        for (const Label& label : labels) {
            ends[number_of(label.title)] = label.y;
            starts[number_of(label.title)] = label.x;
        }
        spread(labels, box.top + 4, box.bottom() - 2);
        std::string result;
        for (const Label& label : labels) {
            const std::size_t s = number_of(label.title);
            result += key(
                s, line(starts[s] + 5, ends[s], box.right() + 12, label.y, label.colour, 0.7) +
                       text(label.title, box.right() + 15, label.y + 4, "start", text_size, label.colour));
        }
        return result;
    }

    /// Each label at the side of its point where it covers least.
    std::string near_labels(const std::vector<Label>& labels, std::vector<Box> taken, const Box& box) {
        std::string result;
        for (const Label& label : labels) {
            const double width = width_of_text(label.title) + 2;
            struct Place {
                double x, y;
            };
            const std::vector<Place> places{{9, -7},  {-9 - width, -7}, {-width / 2, -22}, {-width / 2, 8},
                                            {7, -19}, {7, 5},           {-7 - width, -19}, {-7 - width, 5},
                                            {9, -32}, {9, 18},          {-9 - width, -32}, {-9 - width, 18}};
            Box best;
            double least = std::numeric_limits<double>::infinity();
            for (const auto& [dx, dy] : places) {
                const Box place{label.x + dx, label.y + dy, width, 14};
                double cost = 0;
                for (const Box& other : taken) cost += place.overlap(other);
                cost +=
                    50 *
                    (std::max(0.0, box.left - place.left) + std::max(0.0, place.right() - box.right() - 10) +
                     std::max(0.0, box.top - place.top) + std::max(0.0, place.bottom() - box.bottom()));
                if (cost >= least - 1e-9) continue;
                least = cost;
                best = place;
            }
            taken.push_back(best);
            result += key(number_of(label.title),
                          text(label.title, best.left + 1, best.top + 11, "start", text_size, label.colour));
        }
        return result;
    }

    // ---- marks ----

    std::string marks(const PlotSeries& series, const Axis& x, const Axis& y, const Box& box,
                      std::map<double, double>& ends) {
        switch (series.mark) {
            case Mark::bars:
                return bars(series, x, y, box, ends);
            case Mark::line:
            case Mark::area:
                return curve(series, x, y, box);
            case Mark::stems:
                return stems(series, x, y, box);
            default:
                return points(series, x, y, box);
        }
    }

    [[nodiscard]] std::string note_of(const PlotSeries& series, const PlotPoint& point) const {
        if (!point.note.empty()) return point.note;
        std::string note = series.title + "\n";
        if (!plot_.names.empty()) {
            note += fmt::format("{}: {:.5g}", plot_.names.at(static_cast<std::size_t>(point.y)), point.x);
        } else {
            note += fmt::format("{} {:.5g}, {} {:.5g}", plot_.x_label, point.x, plot_.y_label, point.y);
        }
        if (point.error > 0) note += fmt::format(" ± {:.2g}", point.error);
        return note;
    }

    std::string mark(const PlotSeries& series, const PlotPoint& point, const std::string& shape,
                     const char* classes = "mark") const {
        return fmt::format("<g class=\"{}\"{}><title>{}</title>{}</g>", classes, runs_attribute(point.runs),
                           html_text(note_of(series, point)), shape);
    }

    std::string bars(const PlotSeries& series, const Axis& x, const Axis& y, const Box& box,
                     std::map<double, double>& ends) const {
        std::string result;
        for (const PlotPoint& point : series.points) {
            if (!std::isfinite(point.x)) continue;
            const double from = ends[point.y];
            ends[point.y] = from + point.x;
            const double left = across(x, box, from);
            const double top = upwards(y, box, point.y) - row_height * 0.36;
            result += mark(
                series, point,
                fmt::format(
                    "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>", left,
                    top, across(x, box, from + point.x) - left, row_height * 0.72, series.style.colour));
        }
        return result;
    }

    /// The stretches of points that are numbers.
    static std::vector<std::vector<PlotPoint>> stretches(const PlotSeries& series, bool log_x, bool log_y) {
        std::vector<std::vector<PlotPoint>> found(1);
        for (const PlotPoint& point : series.points) {
            if (std::isfinite(point.x) && std::isfinite(point.y) && (!log_x || point.x > 0) &&
                (!log_y || point.y > 0)) {
                found.back().push_back(point);
            } else if (!found.back().empty()) {
                found.emplace_back();
            }
        }
        std::erase_if(found, [](const auto& each) { return each.empty(); });
        return found;
    }

    std::string curve(const PlotSeries& series, const Axis& x, const Axis& y, const Box& box) {
        const std::string colour = series.is_context ? context_colour : series.style.colour;
        std::string result;
        for (const auto& points : stretches(series, x.is_log, y.is_log)) {
            std::string path;
            std::string above;
            std::string below;
            bool has_errors = false;
            for (const PlotPoint& point : points) {
                const double at = across(x, box, point.x);
                path +=
                    fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", at, upwards(y, box, point.y));
                has_errors = has_errors || point.error > 0;
                above += fmt::format("{}{:.1f} {:.1f}", above.empty() ? "M" : "L", at,
                                     upwards(y, box, point.y + point.error));
                below.insert(0, fmt::format("L{:.1f} {:.1f}", at, upwards(y, box, point.y - point.error)));
            }
            if (series.mark == Mark::area)
                result += fmt::format(
                    "<path class=\"area\" d=\"{}L{:.1f} {:.1f}L{:.1f} {:.1f}z\" fill=\"{}\" "
                    "fill-opacity=\"0.35\"/>",
                    path, across(x, box, points.back().x), box.bottom(), across(x, box, points.front().x),
                    box.bottom(), colour);
            if (has_errors && !series.is_context)
                result += fmt::format("<path class=\"band\" d=\"{}{}z\" fill=\"{}\" fill-opacity=\"0.18\"/>",
                                      above, below, colour);
            result += fmt::format(
                "<path class=\"line\" d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{}/>", path,
                colour, series.is_context ? 1 : 1.8, dash_array(series.style.dash));
        }
        if (series.is_context) return result;
        // Where a curve leaves the axis farthest, and where it ends in what is no number.
        const auto far = std::ranges::max_element(series.points, {}, [&](const PlotPoint& point) {
            return std::isfinite(point.y) ? point.y : -std::numeric_limits<double>::infinity();
        });
        if (far != series.points.end() && std::isfinite(far->y) && far->y > y.high)
            result += beyond(series, *far, across(x, box, far->x), box.top, true);
        for (std::size_t i = 1; i < series.points.size(); ++i)
            if (!std::isfinite(series.points[i].y) && std::isfinite(series.points[i - 1].y))
                result += cross(series, series.points[i], across(x, box, series.points[i - 1].x),
                                upwards(y, box, series.points[i - 1].y));
        return result;
    }

    std::string stems(const PlotSeries& series, const Axis& x, const Axis& y, const Box& box) const {
        std::string result;
        for (const PlotPoint& point : series.points) {
            if (!std::isfinite(point.x) || !std::isfinite(point.y)) continue;
            const double at = across(x, box, point.x);
            const double top = upwards(y, box, point.y);
            result += mark(
                series, point,
                line(at, box.bottom(), at, top, series.style.colour, 2) + marker(series.style, at, top, 2.6));
        }
        return result;
    }

    std::string points(const PlotSeries& series, const Axis& x, const Axis& y, const Box& box) {
        const std::string colour = series.is_context ? context_colour : series.style.colour;
        std::string result;
        if (series.mark == Mark::joined)
            for (const auto& stretch : stretches(series, x.is_log, y.is_log)) {
                std::string path;
                std::vector<std::string> runs;
                for (const PlotPoint& point : stretch) {
                    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", across(x, box, point.x),
                                        upwards(y, box, point.y));
                    runs.push_back(joined(point.runs));
                }
                const bool is_of_runs =
                    std::ranges::any_of(runs, [](const auto& own) { return !own.empty(); });
                result += fmt::format(
                    "<path class=\"line\" d=\"{}\"{} fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"{}/>",
                    path,
                    is_of_runs ? fmt::format(" data-joins=\"{}\"",
                                             html_text(fmt::format("{}", fmt::join(runs, ";"))))
                               : "",
                    colour, dash_array(series.style.dash));
            }
        if (series.is_context) return result;
        for (const PlotPoint& point : series.points) result += one_point(series, point, x, y, box);
        return result;
    }

    std::string one_point(const PlotSeries& series, const PlotPoint& point, const Axis& x, const Axis& y,
                          const Box& box) const {
        const bool has_names = !plot_.names.empty();
        const double value = has_names ? point.x : point.y;
        const Axis& axis = has_names ? x : y;
        if (!std::isfinite(has_names ? point.y : point.x)) return "";
        double left = across(x, box, point.x);
        double top = upwards(y, box, point.y);
        if (!std::isfinite(value)) {
            if (has_names) left = plot_.low_is_good ? box.right() - 6 : box.left + 6;
            if (!has_names) top = plot_.low_is_good ? box.top + 6 : box.bottom() - 6;
            return cross(series, point, left, top);
        }
        if (!axis.holds(value)) return beyond(series, point, left, top, value > axis.high);
        std::string shape;
        if (point.error > 0) {
            const double from = value - point.error;
            const double to = value + point.error;
            shape =
                has_names
                    ? line(across(x, box, from), top, across(x, box, to), top, series.style.colour, 1.2)
                    : line(left, upwards(y, box, from), left, upwards(y, box, to), series.style.colour, 1.2);
        }
        return mark(series, point, shape + marker(series.style, left, top));
    }

    /// A figure that lies beyond the axis: an arrow head on the edge.
    std::string beyond(const PlotSeries& series, const PlotPoint& point, double x, double y,
                       bool is_above) const {
        const double turn = plot_.names.empty() ? (is_above ? 0 : 180) : (is_above ? 90 : -90);
        const double dx = plot_.names.empty() ? 0 : (is_above ? -4 : 4);
        const double dy = plot_.names.empty() ? (is_above ? 4 : -4) : 0;
        return mark(
            series, point,
            fmt::format("<path d=\"M-5 4h10l-5 -9z\" transform=\"translate({:.1f} {:.1f}) rotate({})\" "
                        "fill=\"#ffffff\" stroke=\"{}\" stroke-width=\"1.5\"/>",
                        x + dx, y + dy, turn, series.style.colour),
            "mark beyond");
    }

    /// A figure that is no number.
    std::string cross(const PlotSeries& series, const PlotPoint& point, double x, double y) const {
        PlotPoint named = point;
        if (named.note.empty()) named.note = series.title + "\nnot finite";
        return mark(
            series, named,
            fmt::format(
                "<path d=\"M{:.1f} {:.1f}l8 8m0 -8l-8 8\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
                x - 4, y - 4, series.style.colour),
            "mark diverged");
    }

    // ---- words around the panels ----

    [[nodiscard]] std::string shared_labels(double left, double y, double bottom) const {
        std::string result;
        const double middle = left + (panel_width_ * static_cast<double>(columns_) +
                                      gap_between() * static_cast<double>(columns_ - 1)) /
                                         2;
        if (!plot_.x_label.empty()) result += text(plot_.x_label, middle, bottom + 12, "middle");
        if (!plot_.y_label.empty())
            result += text(plot_.y_label, 14, y, "middle", text_size, ink,
                           fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", y));
        return result;
    }

    static std::vector<std::string> wrapped(const std::string& words, double characters) {
        std::vector<std::string> rows(1);
        std::size_t begin = 0;
        while (begin < words.size()) {
            const std::size_t end = std::min(words.find(' ', begin), words.size());
            const std::string word = words.substr(begin, end - begin);
            if (!rows.back().empty() && static_cast<double>(rows.back().size() + word.size()) > characters)
                rows.emplace_back();
            rows.back() += (rows.back().empty() ? "" : " ") + word;
            begin = end + 1;
        }
        return rows;
    }

    const Plot& plot_;
    std::vector<std::string> titles_;
    std::vector<Key> styles_;
    Labelling labelling_ = Labelling::none;
    std::size_t columns_ = 1;
    double width_ = 0;
    double panel_width_ = 0;
    double panel_height_ = 0;
    double legend_height_ = 0;
};

}  // namespace

std::string to_svg(const Plot& plot) {
    require(has_points(plot), "{}: there is nothing to draw", plot.title);
    return Drawing(plot).svg();
}

}  // namespace jlcm
