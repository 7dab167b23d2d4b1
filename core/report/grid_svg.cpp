#include "core/report/grid_svg.hpp"

#include "core/report/plot_axis.hpp"
#include "core/report/table_formats.hpp"
#include "core/vision/image_file.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace jlcm {
namespace {

constexpr const char* nothing = "#f2f2f2";

std::string colour_of(const PlotGrid& grid, double value) {
    if (!std::isfinite(value)) return nothing;
    return shade(grid.high > grid.low ? (value - grid.low) / (grid.high - grid.low) : 0.5);
}

std::string base64(const std::string& bytes) {
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const auto* in = reinterpret_cast<const unsigned char*>(bytes.data());  // NOLINT: bytes for a C library
    auto* out = reinterpret_cast<unsigned char*>(text.data());              // NOLINT: as above
    const int length = EVP_EncodeBlock(out, in, static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(length));
    return text;
}

std::uint8_t channel(const std::string& colour, std::size_t at) {
    return static_cast<std::uint8_t>(std::stoi(colour.substr(1 + 2 * at, 2), nullptr, 16));
}

/// An image of one pixel a cell, stretched over the place.
std::string image(std::size_t rows, std::size_t cols, const std::vector<std::string>& colours,
                  const GridPlace& place) {
    Image pixels{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(cols), 3, {}};
    for (const std::string& colour : colours)
        for (std::size_t c = 0; c < 3; ++c) pixels.pixels.push_back(channel(colour, c));
    return fmt::format(
        "<image x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" preserveAspectRatio=\"none\" "
        "image-rendering=\"optimizeSpeed\" href=\"data:image/png;base64,{}\"/>\n",
        place.left, place.top, place.width, place.height, base64(encode_png(pixels)));
}

std::string words(const std::string& text, double x, double y, const char* anchor) {
    return fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"11\" fill=\"#333333\">{}</text>\n", x,
        y, anchor, html_text(text));
}

std::string strip(const PlotGrid& grid, const GridPlace& place) {
    const auto most =
        static_cast<double>(std::max<std::size_t>(1, *std::ranges::max_element(grid.row_groups)));
    std::vector<std::string> colours;
    for (const std::size_t group : grid.row_groups)
        colours.push_back(shade(static_cast<double>(group) / most));
    return image(grid.rows, 1, colours, {place.left - 14, place.top, 10, place.height});
}

std::string cells(const PlotGrid& grid, const GridPlace& place, const std::string& what) {
    std::string result;
    const double width = place.width / static_cast<double>(grid.cols);
    const double height = place.height / static_cast<double>(grid.rows);
    for (std::size_t r = 0; r < grid.rows; ++r) {
        const double top = place.top + static_cast<double>(r) * height;
        result += words(grid.row_names[r], place.left - 6, top + height / 2 + 4, "end");
        for (std::size_t c = 0; c < grid.cols; ++c) {
            const double value = grid.values[r * grid.cols + c];
            result += fmt::format(
                "<g class=\"mark\"><title>{}\n{}, block {}: {}</title><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
                "height=\"{:.1f}\" fill=\"{}\"/></g>\n",
                html_text(what), html_text(grid.row_names[r]), c,
                std::isfinite(value) ? fmt::format("{:.4g}", value) : "nothing",
                place.left + static_cast<double>(c) * width, top, width - 0.5, height - 0.5,
                colour_of(grid, value));
        }
    }
    return result;
}

}  // namespace

std::string grid_svg(const PlotGrid& grid, const GridPlace& place, const std::string& what) {
    std::string result;
    if (!grid.row_names.empty()) {
        result = cells(grid, place, what);
    } else {
        std::vector<std::string> colours;
        for (const double value : grid.values) colours.push_back(colour_of(grid, value));
        result = image(grid.rows, grid.cols, colours, place);
    }
    if (!grid.row_groups.empty()) result += strip(grid, place);
    const std::size_t every = std::max<std::size_t>(1, grid.cols / 8);
    if (!grid.row_names.empty())
        for (std::size_t c = 0; c < grid.cols; c += every)
            result += words(
                std::to_string(c),
                place.left + (static_cast<double>(c) + 0.5) * place.width / static_cast<double>(grid.cols),
                place.top + place.height + 14, "middle");
    if (grid.first_col != grid.last_col)
        for (const double share : {0.0, 0.25, 0.5, 0.75, 1.0})
            result += words(tick_text(grid.first_col + share * (grid.last_col - grid.first_col), 2),
                            place.left + share * place.width, place.top + place.height + 14, "middle");
    return result;
}

std::string scale_svg(const PlotGrid& grid, const GridPlace& place) {
    constexpr int steps = 24;
    std::string result;
    const double left = place.left + place.width + 8;
    const double height = std::min(place.height, 160.0);
    for (int s = 0; s < steps; ++s)
        result +=
            fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"10\" height=\"{:.2f}\" fill=\"{}\"/>\n",
                        left, place.top + height * (steps - 1 - s) / steps, height / steps + 0.3,
                        shade(static_cast<double>(s) / (steps - 1)));
    return result + words(fmt::format("{:.3g}", grid.high), left + 13, place.top + 9, "start") +
           words(fmt::format("{:.3g}", grid.low), left + 13, place.top + height, "start");
}

}  // namespace jlcm
