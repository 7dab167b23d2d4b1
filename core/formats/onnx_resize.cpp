// Resize: a matrix for each dimension that changes. GridSample: images read at places that are data.
#include "core/formats/onnx_context.hpp"
#include "core/graph/grid_sample.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm::onnx_rules {
namespace {

/// Of the matrix that resizes a dimension.
constexpr std::int64_t most_weights = std::int64_t{1} << 24;

struct Resizing {
    std::string mode;
    std::string coordinates;
    std::string nearest;
    double cubic = -0.75;
    bool leaves_out_outside = false;
};

/// Where output i of `out` lies among `in` inputs.
double source(const Resizing& how, std::int64_t i, std::int64_t in, std::int64_t out, double scale) {
    const auto place = static_cast<double>(i);
    if (how.coordinates == "asymmetric") return place / scale;
    if (how.coordinates == "align_corners")
        return out == 1 ? 0 : place * static_cast<double>(in - 1) / static_cast<double>(out - 1);
    if (how.coordinates == "pytorch_half_pixel" && out == 1) return 0;
    return (place + 0.5) / scale - 0.5;
}

std::int64_t nearest(const Resizing& how, double place) {
    if (how.nearest == "floor") return static_cast<std::int64_t>(std::floor(place));
    if (how.nearest == "ceil") return static_cast<std::int64_t>(std::ceil(place));
    if (how.nearest == "round_prefer_ceil") return static_cast<std::int64_t>(std::floor(place + 0.5));
    return static_cast<std::int64_t>(std::ceil(place - 0.5));
}

/// Keys' cubic convolution kernel at distance x.
double cubic_weight(double a, double x) {
    x = std::abs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/// [out, in]: how much of each input an output is.
std::vector<float> matrix_of(const Resizing& how, std::int64_t in, std::int64_t out, double scale) {
    std::vector<float> matrix(static_cast<std::size_t>(in * out), 0);
    for (std::int64_t i = 0; i < out; ++i) {
        const double place = source(how, i, in, out, scale);
        float* row = matrix.data() + i * in;
        std::vector<std::pair<std::int64_t, double>> weights;
        const auto below = static_cast<std::int64_t>(std::floor(place));
        const double rest = place - static_cast<double>(below);
        if (how.mode == "nearest") weights = {{nearest(how, place), 1.0}};
        if (how.mode == "linear") weights = {{below, 1 - rest}, {below + 1, rest}};
        if (how.mode == "cubic")
            for (std::int64_t k = -1; k <= 2; ++k)
                weights.emplace_back(below + k, cubic_weight(how.cubic, rest - static_cast<double>(k)));
        double total = 0;
        for (const auto& [at, weight] : weights)
            if (!how.leaves_out_outside || (at >= 0 && at < in)) total += weight;
        for (const auto& [at, weight] : weights)
            if (!how.leaves_out_outside || (at >= 0 && at < in))
                row[std::clamp<std::int64_t>(at, 0, in - 1)] += static_cast<float>(weight / total);
    }
    return matrix;
}

void resize(Context& context, const OnnxNode& node) {
    Value x = context.data(node, 0);
    const bool is_old = context.opset() < 11;
    const std::size_t scales_at = is_old ? 1 : 2;
    const Resizing how{node.text("mode", "nearest"),
                       node.text("coordinate_transformation_mode", is_old ? "asymmetric" : "half_pixel"),
                       node.text("nearest_mode", is_old ? "floor" : "round_prefer_floor"),
                       node.number("cubic_coeff_a", -0.75), node.integer("exclude_outside", 0) != 0};
    require(how.mode == "nearest" || how.mode == "linear" || how.mode == "cubic", "the mode '{}'", how.mode);
    require(how.coordinates == "half_pixel" || how.coordinates == "pytorch_half_pixel" ||
                how.coordinates == "align_corners" || how.coordinates == "asymmetric",
            "the coordinate_transformation_mode '{}'", how.coordinates);
    require(
        node.integer("antialias", 0) == 0 && node.text("keep_aspect_ratio_policy", "stretch") == "stretch",
        "antialias and keep_aspect_ratio_policy are not supported");
    std::vector<std::int64_t> sizes;
    std::vector<float> scales;
    if (!is_old && node.has_input(3)) {
        sizes = context.constant(node, 3).integers();
        if (sizes.size() == x.rank() && !node.has("axes") && !context.holds_batch(sizes[0]))
            sizes = context.for_all_samples(x.shape, [&](const Shape&) { return sizes; });
    } else {
        scales = node.has("scales") ? node.numbers("scales") : context.constant(node, scales_at).floats();
    }
    if (node.has("axes")) {
        const auto axes = node.integers("axes");
        const auto spread = [&](auto& list, const auto& rest) {
            if (list.empty()) return;
            auto all = rest;
            require(list.size() == axes.size(), "{} sizes or scales for {} axes", list.size(), axes.size());
            for (std::size_t i = 0; i < axes.size(); ++i) all[axis_of(axes[i], x.rank())] = list[i];
            list = std::move(all);
        };
        spread(sizes, x.shape);
        spread(scales, std::vector<float>(x.rank(), 1));
    }
    require(std::max(sizes.size(), scales.size()) == x.rank(), "sizes or scales do not fit shape {}",
            to_string(x.shape));
    for (std::size_t d = 0; d < x.rank(); ++d) {
        const std::int64_t in = x.shape[d];
        const float size =
            sizes.empty() ? std::floor(static_cast<float>(in) * scales[d]) : static_cast<float>(sizes[d]);
        require(size >= 1 && size < 1 << 16 && in < 1 << 16, "dimension {} of {} becomes {}", d, in, size);
        const auto out = static_cast<std::int64_t>(size);
        require(in * out <= most_weights, "a resizing of {} to {} is too large", in, out);
        const double scale = sizes.empty() ? static_cast<double>(scales[d])
                                           : static_cast<double>(out) / static_cast<double>(in);
        if (in == out && scale == 1) continue;
        std::vector<int> places(x.rank());
        int next = 0;
        for (std::size_t other = 0; other < x.rank(); ++other)
            if (other != d) places[other] = next++;
        places[d] = next;
        const ParameterId matrix = context.parameter(node, fmt::format("{}.resize.{}", node.name, d),
                                                     "constant", {out, in}, matrix_of(how, in, out, scale));
        x = context.emit(node, make_linear(), {context.in_places(node, x, places)}, {matrix}, places);
    }
    context.set(node, std::move(x));
}

void grid_sample(Context& context, const OnnxNode& node) {
    const Value x = context.data(node, 0);
    const Value grid = context.data(node, 1);
    require(x.rank() == 4, "an input of shape {}; supported are images", to_string(x.shape));
    const std::string mode = node.text("mode", "linear");
    const std::string outside = node.text("padding_mode", "zeros");
    require(mode == "linear" || mode == "bilinear" || mode == "nearest", "the mode '{}'", mode);
    require(outside == "zeros" || outside == "border" || outside == "reflection", "the padding_mode '{}'",
            outside);
    const GridSampleAttributes attributes{mode == "nearest", nlohmann::json(outside).get<Outside>(),
                                          node.integer("align_corners", 0) != 0};
    context.set(
        node, context.emit(node, make_grid_sample(attributes),
                           {context.channels_last(node, x), context.plain(node, grid)}, {}, image_places(4)));
}

/// Places [images, height, width, 2] from a matrix [2, 3] for each image: those of a grid from -1 to 1.
void affine_grid(Context& context, const OnnxNode& node) {
    const Value theta = context.data(node, 0);
    const Shape& size = context.constant(node, 1).integers();
    require(size.size() == 4 && theta.rank() == 3 && theta.shape[1] == 2 && theta.shape[2] == 3,
            "matrices of shape {} for a size of {} dimensions; supported are images", to_string(theta.shape),
            size.size());
    const bool aligns = node.integer("align_corners", 0) != 0;
    const std::int64_t height = bounded(size)[2];
    const std::int64_t width = size[3];
    require(height > 0 && width > 0 && height * width < size_limit, "a size of {}", to_string(size));
    const auto at = [&](std::int64_t i, std::int64_t count) {
        const auto place = static_cast<double>(i);
        const auto all = static_cast<double>(count);
        if (aligns) return count == 1 ? 0.0 : 2 * place / (all - 1) - 1;
        return (2 * place + 1) / all - 1;
    };
    std::vector<float> base;
    for (std::int64_t i = 0; i < height * width; ++i) {
        base.push_back(static_cast<float>(at(i % width, width)));
        base.push_back(static_cast<float>(at(i / width, height)));
        base.push_back(1);
    }
    // A grid of all images times the transposed matrix of each.
    const Value grid = known(node.name + ".grid", {{height * width, 3}, std::move(base)});
    const ValueId places = context.plain(node, grid);
    const ValueId matrices = context.in_places(node, theta, {0, 2, 1});
    const Value y = context.emit(node, make_matmul(), {places, matrices});
    context.set(node, context.emit(node, make_reshape({-1, height, width, 2}), {y.id}));
}

}  // namespace

void add_resize_rules(Rules& rules) {
    rules["Resize"] = resize;
    rules["GridSample"] = grid_sample;
    rules["AffineGrid"] = affine_grid;
    rules["Upsample"] = resize;
}

}  // namespace jlcm::onnx_rules
