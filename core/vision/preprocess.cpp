#include "core/vision/preprocess.hpp"

#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm {
namespace {

using nlohmann::json;

/// Of an image that is resized.
constexpr std::int64_t most_pixels = std::int64_t{1} << 26;

const json& member(const json& object, const char* key) {
    static const json none;
    const auto found = object.find(key);
    return found == object.end() ? none : *found;
}

std::int64_t positive(const json& value, const char* key) {
    require(
        value.is_number_integer() && value.get<std::int64_t>() > 0 && value.get<std::int64_t>() <= 1 << 16,
        "'{}' is {}; it wants positive whole numbers", key, value.dump());
    return value.get<std::int64_t>();
}

/// Height and width of `value`: [height, width], or one number for both.
std::pair<std::int64_t, std::int64_t> sides(const json& value, const char* key) {
    if (!value.is_array()) return {positive(value, key), positive(value, key)};
    require(value.size() == 2, "'{}' is {}; it wants [height, width]", key, value.dump());
    return {positive(value[0], key), positive(value[1], key)};
}

std::vector<float> per_channel(const json& object, const char* key, std::int64_t channels) {
    const json& value = member(object, key);
    const bool numbers =
        value.is_array() && std::ranges::all_of(value, [](const json& each) { return each.is_number(); });
    require(numbers && std::ssize(value) == channels, "'{}' is {}; it wants {} numbers", key, value.dump(),
            channels);
    return value.get<std::vector<float>>();
}

std::string mode_of(const json& object, const char* key) {
    require(object.is_object() && member(object, "mode").is_string(), "'{}' is {}; it wants a mode", key,
            object.dump());
    return object.at("mode").get<std::string>();
}

}  // namespace

Preprocess::Preprocess(const json& json) {
    require(json.is_object(), "no object");
    const auto& size = member(json, "input_size");
    require(size.is_array() && size.size() == 3, "'input_size' is {}; it wants [channels, height, width]",
            size.dump());
    for (const auto& side : size) shape_.push_back(positive(side, "input_size"));

    if (const auto& resize = member(json, "resize"); !resize.is_null()) {
        const std::string mode = mode_of(resize, "resize");
        require(mode == "short_side" || mode == "exact", "resize mode '{}'; there are short_side and exact",
                mode);
        if (mode == "exact") exact_ = sides(member(resize, "size"), "resize.size");
        if (mode == "short_side") short_side_ = positive(member(resize, "size"), "resize.size");
        const auto& interpolation = member(json, "interpolation");
        const std::string filter = interpolation.is_string() ? interpolation.get<std::string>() : "";
        require(filter.starts_with("bilinear") || filter.starts_with("bicubic"),
                "'interpolation' is {}; there are bilinear and bicubic", interpolation.dump());
        filter_ = filter.starts_with("bilinear") ? ResizeFilter::bilinear : ResizeFilter::bicubic;
    }
    if (const auto& crop = member(json, "crop"); !crop.is_null()) {
        require(mode_of(crop, "crop") == "center", "crop mode '{}'; there is center", mode_of(crop, "crop"));
        require(sides(member(crop, "size"), "crop.size") == std::pair(shape_[1], shape_[2]),
                "the crop's size is not that of the input");
        crop_ = true;
    }
    const auto& order = member(json, "channel_order");
    require(order == (shape_[0] == 1 ? "L" : "RGB") || (shape_[0] == 3 && order == "BGR"),
            "'channel_order' is {}; there are RGB and BGR for 3 channels and L for 1", order.dump());
    reversed_ = order == "BGR";
    const auto& range = member(json, "range");
    const bool unit = range == nlohmann::json::array({0, 1});
    require(unit || range == nlohmann::json::array({0, 255}), "'range' is {}; there are [0, 1] and [0, 255]",
            range.dump());
    range_ = unit ? 1.0F : 255.0F;
    mean_ = per_channel(json, "mean", shape_[0]);
    deviation_ = per_channel(json, "std", shape_[0]);
    require(std::ranges::all_of(deviation_, [](float each) { return each > 0; }), "'std' must be positive");
}

Image Preprocess::fit(const Image& image) const {
    const auto resized = [&](std::int64_t to_height, std::int64_t to_width) {
        require(to_height <= most_pixels / to_width, "an image of {} x {} pixels resized to {} x {}",
                image.width, image.height, to_width, to_height);
        return resize(image, to_height, to_width, filter_);
    };
    Image sized = image;
    if (exact_) sized = resized(exact_->first, exact_->second);
    if (short_side_) {
        const std::int64_t shortest = std::min(image.height, image.width);
        sized = resized(*short_side_ * image.height / shortest, *short_side_ * image.width / shortest);
    }
    const std::int64_t height = shape_[1];
    const std::int64_t width = shape_[2];
    require(sized.channels == shape_[0] && (crop_ ? sized.height >= height && sized.width >= width
                                                  : sized.height == height && sized.width == width),
            "an image of {} channels and {} x {} pixels, where the model takes {} and {} x {}",
            sized.channels, sized.width, sized.height, shape_[0], width, height);
    if (sized.height == height && sized.width == width) return sized;
    Image cropped{height, width, sized.channels, {}};
    const std::int64_t top = (sized.height - height) / 2;
    const std::int64_t left = (sized.width - width) / 2;
    for (std::int64_t y = top; y < top + height; ++y) {
        const auto* row = sized.pixels.data() + (y * sized.width + left) * sized.channels;
        cropped.pixels.insert(cropped.pixels.end(), row, row + width * sized.channels);
    }
    return cropped;
}

void Preprocess::apply(const Image& image, std::span<float> sample) const {
    const Image fitted = fit(image);
    const std::int64_t channels = shape_[0];
    const std::int64_t area = shape_[1] * shape_[2];
    ensure(std::ssize(sample) == channels * area, "a sample of {} values", sample.size());
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::uint8_t* pixel = fitted.pixels.data() + (reversed_ ? channels - 1 - c : c);
        const float mean = mean_[static_cast<std::size_t>(c)];
        const float deviation = deviation_[static_cast<std::size_t>(c)];
        for (std::int64_t i = 0; i < area; ++i)
            sample[static_cast<std::size_t>(c * area + i)] =
                (static_cast<float>(pixel[i * channels]) * range_ / 255.0F - mean) / deviation;
    }
}

Tensor preprocessed(std::span<const ImageChoice> chosen, const Preprocess& preprocess) {
    Shape shape = preprocess.shape();
    const std::int64_t size = element_count(shape);
    shape.insert(shape.begin(), std::ssize(chosen));
    Tensor samples = Tensor::empty(shape);
    parallel_for(std::ssize(chosen), 1, [&](std::int64_t i, std::int64_t) {
        const ImageChoice& each = chosen[static_cast<std::size_t>(i)];
        preprocess.apply(each.set->image(each.index),
                         samples.values<float>().subspan(static_cast<std::size_t>(i * size),
                                                         static_cast<std::size_t>(size)));
    });
    return samples;
}

}  // namespace jlcm
