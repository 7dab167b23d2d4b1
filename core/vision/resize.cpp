#include "core/vision/resize.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

/// Bits behind the point of a weight: 8 of a pixel and 2 of overshoot leave 22 of 32.
constexpr int precision_bits = 32 - 8 - 2;

double support_of(ResizeFilter filter) {
    return filter == ResizeFilter::bilinear ? 1.0 : 2.0;
}

double value_of(ResizeFilter filter, double x) {
    x = std::abs(x);
    if (filter == ResizeFilter::bilinear) return x < 1.0 ? 1.0 - x : 0.0;
    constexpr double a = -0.5;  // Keys, "Cubic convolution interpolation", 1981
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/// The inputs of one output pixel along an axis and their weights.
struct Taps {
    std::int64_t first = 0;
    std::vector<std::int32_t> weights;
};

std::vector<Taps> taps_of(std::int64_t inputs, std::int64_t outputs, ResizeFilter filter) {
    const double scale = static_cast<double>(inputs) / static_cast<double>(outputs);
    const double stretch = std::max(scale, 1.0);
    const double support = support_of(filter) * stretch;
    const double inverse = 1.0 / stretch;
    std::vector<Taps> taps(static_cast<std::size_t>(outputs));
    for (std::int64_t out = 0; out < outputs; ++out) {
        const double center = (static_cast<double>(out) + 0.5) * scale;
        const auto first =
            std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(center - support + 0.5)));
        const auto end = std::min(inputs, static_cast<std::int64_t>(std::floor(center + support + 0.5)));
        std::vector<double> weights;
        double sum = 0;
        for (std::int64_t in = first; in < end; ++in) {
            weights.push_back(value_of(filter, (static_cast<double>(in) - center + 0.5) * inverse));
            sum += weights.back();
        }
        Taps& each = taps[static_cast<std::size_t>(out)];
        each.first = first;
        for (double weight : weights) {
            if (sum != 0.0) weight /= sum;
            const double fixed = weight * static_cast<double>(1 << precision_bits);
            each.weights.push_back(static_cast<std::int32_t>(std::lround(fixed)));
        }
    }
    return taps;
}

/// Resizes one axis: `lines` of them lie `line_step` apart, its pixels (or parts of pixels) `step` apart, in
/// input and output alike but for their length.
struct Axis {
    std::int64_t step = 1;
    std::int64_t lines = 1;
    std::int64_t input_line_step = 1;
    std::int64_t output_line_step = 1;
};

void resize_axis(const std::vector<Taps>& taps, const Axis& axis, const std::uint8_t* in, std::uint8_t* out) {
    for (std::int64_t line = 0; line < axis.lines; ++line)
        for (std::size_t i = 0; i < taps.size(); ++i)
            for (std::int64_t part = 0; part < axis.step; ++part) {
                const std::uint8_t* pixel =
                    in + line * axis.input_line_step + taps[i].first * axis.step + part;
                std::int32_t sum = 1 << (precision_bits - 1);
                for (const std::int32_t weight : taps[i].weights) {
                    sum += *pixel * weight;
                    pixel += axis.step;
                }
                out[line * axis.output_line_step + static_cast<std::int64_t>(i) * axis.step + part] =
                    static_cast<std::uint8_t>(std::clamp(sum >> precision_bits, 0, 255));
            }
}

}  // namespace

Image resize(const Image& image, std::int64_t height, std::int64_t width, ResizeFilter filter) {
    ensure(height > 0 && width > 0 && image.height > 0 && image.width > 0, "resizing {} x {} to {} x {}",
           image.width, image.height, width, height);
    const Image* source = &image;
    Image wide;
    if (width != image.width) {
        wide = {image.height, width, image.channels, {}};
        wide.pixels.resize(static_cast<std::size_t>(wide.height * wide.width * wide.channels));
        resize_axis(taps_of(image.width, width, filter),
                    {image.channels, image.height, image.width * image.channels, width * image.channels},
                    image.pixels.data(), wide.pixels.data());
        source = &wide;
    }
    if (height == source->height) return *source;
    Image result{height, width, image.channels, {}};
    result.pixels.resize(static_cast<std::size_t>(height * width * image.channels));
    const std::int64_t row = width * image.channels;
    resize_axis(taps_of(source->height, height, filter), {row, 1, 0, 0}, source->pixels.data(),
                result.pixels.data());
    return result;
}

}  // namespace jlcm
