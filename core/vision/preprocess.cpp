#include "core/vision/preprocess.hpp"

#include "core/base/parallel.hpp"
#include "core/base/problems.hpp"

#include <algorithm>

#include <fmt/ranges.h>

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

/// What is wrong, key by key.
class Findings {
  public:
    template <class Read>
    void check(Read read) {
        try {
            read();
        } catch (const Error& error) {
            found_.emplace_back(error.what());
        }
    }
    void throw_if_any() const {
        if (found_.size() == 1) fail("{}", found_.front());
        if (!found_.empty()) fail("{} things are wrong:\n  {}", found_.size(), fmt::join(found_, "\n  "));
    }

  private:
    std::vector<std::string> found_;
};

const std::vector<std::string>& keys() {
    static const std::vector<std::string> all{"input_size",    "layout", "resize", "crop", "interpolation",
                                              "channel_order", "range",  "mean",   "std"};
    return all;
}

bool is_for_people(const std::string& key) {
    static const std::vector<std::string> all{"name",   "description", "formula", "input_name", "output_name",
                                              "output", "class_index", "source",  "eval_data",  "license",
                                              "url",    "note",        "notes"};
    return std::ranges::find(all, key) != all.end();
}

bool has_channels(std::int64_t size) {
    return size == 1 || size == 3;
}

bool is_channels_last(const json& object) {
    const json& layout = member(object, "layout");
    require(layout.is_null() || layout == "NCHW" || layout == "NHWC",
            "'layout' is {}; there are NCHW and NHWC", layout.dump());
    return layout == "NHWC";
}

/// As Pillow's convert("L"): 16 binary digits of ITU-R 601's weights.
Image grey(const Image& image) {
    Image result{image.height, image.width, 1, {}};
    result.pixels.reserve(image.pixels.size() / 3);
    for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
        const std::uint32_t red = image.pixels[i];
        const std::uint32_t green = image.pixels[i + 1];
        const std::uint32_t blue = image.pixels[i + 2];
        result.pixels.push_back(
            static_cast<std::uint8_t>((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16));
    }
    return result;
}

Image colour(const Image& image) {
    Image result{image.height, image.width, 3, {}};
    result.pixels.reserve(image.pixels.size() * 3);
    for (const std::uint8_t pixel : image.pixels) result.pixels.insert(result.pixels.end(), 3, pixel);
    return result;
}

/// The array of a set that an input reads; the only one, whatever it is called.
const Tensor& array_for(const GraphInput& input, const TensorSet& tensors) {
    const auto& arrays = tensors.arrays();
    const bool is_only = arrays.size() == 1 && (input.name.empty() || arrays.front().first.empty());
    const Tensor* found = is_only ? &arrays.front().second : nullptr;
    for (const auto& [name, array] : arrays)
        if (!is_only && name == input.name) found = &array;
    if (found == nullptr) {
        std::vector<std::string> names;
        for (const auto& [name, array] : arrays)
            names.push_back(fmt::format("'{}' {}", name, to_string(array.shape())));
        fail("the arrays are {}, and {}", fmt::join(names, ", "),
             input.name.empty() ? "the model has one input: choose its array (array: NAME)"
                                : fmt::format("the model's input '{}' has none", input.name));
    }
    require(Shape(found->shape().begin() + 1, found->shape().end()) == input.shape,
            "samples of shape {}, the first dimension being that of samples, and the model reads {}{}",
            to_string(found->shape()), to_string(input.shape),
            input.name.empty() ? "" : fmt::format(" as '{}'", input.name));
    return *found;
}

void require_kind(const GraphInput& input, std::span<const float> values) {
    if (input.kind == ElementKind::number) return;
    constexpr float most = 1 << 24;
    for (const float value : values)
        require(value == std::trunc(value) && std::abs(value) <= most &&
                    (input.kind == ElementKind::integer || value == 0 || value == 1),
                "the model's input '{}' reads {}, and a sample holds {}", input.name,
                input.kind == ElementKind::integer ? "integers up to 2^24" : "truth values (0 and 1)", value);
}

}  // namespace

void Preprocess::read_size(const json& json, const Shape& network) {
    const auto& given = member(json, "input_size");
    require(given.is_array() && given.size() == 3, "'input_size' is {}; it wants [channels, height, width]",
            given.dump());
    Shape size;
    for (const auto& side : given) size.push_back(positive(side, "input_size"));
    channels_last_ = is_channels_last(json);
    // Channels last may be said in the network's own order.
    const bool is_turned =
        channels_last_ && has_channels(size[2]) && (!has_channels(size[0]) || size == network);
    if (is_turned) size = {size[2], size[0], size[1]};
    require(has_channels(size[0]), "'input_size' is {}: {} channels; images have 1 or 3", given.dump(),
            size[0]);
    channels_ = size[0];
    height_ = size[1];
    width_ = size[2];
    const Shape last{height_, width_, channels_};
    shape_ = channels_last_ ? last : size;
    if (network.empty() || network == shape_) return;
    require(network.size() == 3,
            "'input_size' is {}, and the network reads samples of shape {}, which are no images",
            given.dump(), to_string(network));
    require(network != last,
            "'input_size' is {}, and the network reads {}, channels last: say \"layout\": \"NHWC\"",
            given.dump(), to_string(network));
    require(network != size,
            "'layout' is NHWC, and the network reads {}, channels first: say \"layout\": \"NCHW\"",
            to_string(network));
    fail("'input_size' is {}, and the network reads {}", given.dump(), to_string(network));
}

void Preprocess::read_resize(const json& json) {
    const auto& resize = member(json, "resize");
    if (resize.is_null()) return;
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

void Preprocess::read_crop(const json& json) {
    const auto& crop = member(json, "crop");
    crop_ = !crop.is_null();
    if (!crop_) return;
    require(mode_of(crop, "crop") == "center", "crop mode '{}'; there is center", mode_of(crop, "crop"));
    const auto size = sides(member(crop, "size"), "crop.size");
    require(channels_ == 0 || size == std::pair(height_, width_),
            "'crop.size' is {}, and 'input_size' says {} x {} pixels (height, width)",
            member(crop, "size").dump(), height_, width_);
    const auto smallest = exact_ ? std::min(exact_->first - size.first, exact_->second - size.second)
                                 : short_side_.value_or(size.first) - std::min(size.first, size.second);
    require(smallest >= 0, "'crop.size' is {}, which is more than 'resize.size' {} leaves",
            member(crop, "size").dump(), member(member(json, "resize"), "size").dump());
}

void Preprocess::read_range(const json& json) {
    const auto& range = member(json, "range");
    const bool unit = range == nlohmann::json::array({0, 1});
    require(unit || range == nlohmann::json::array({0, 255}), "'range' is {}; there are [0, 1] and [0, 255]",
            range.dump());
    range_ = unit ? 1.0F : 255.0F;
    const auto is_within = [](const std::vector<float>& values, float low, float high) {
        return std::ranges::all_of(values, [&](float each) { return each > low && each < high; });
    };
    require(!unit || !std::ranges::any_of(mean_, [](float each) { return each > 1; }),
            "'mean' is {}, beyond the 'range' [0, 1]: these are numbers for [0, 255]",
            member(json, "mean").dump());
    require(unit || mean_.empty() || deviation_.empty() || !is_within(mean_, 0, 1) ||
                !is_within(deviation_, 0, 1),
            "'mean' is {} and 'std' {}, for a 'range' of [0, 255]: these are numbers for [0, 1]",
            member(json, "mean").dump(), member(json, "std").dump());
}

Preprocess::Preprocess(const json& json, const Shape& network) {
    require(json.is_object(), "no object");
    Findings findings;
    for (const auto& item : json.items()) {
        const std::string& key = item.key();
        if (std::ranges::find(keys(), key) != keys().end() || is_for_people(key)) continue;
        findings.check([&] {
            fail("'{}' is no key of it{}; remarks stand under 'notes'", key, suggestion(key, keys()));
        });
    }
    findings.check([&] { read_size(json, network); });
    findings.check([&] { read_resize(json); });
    findings.check([&] { read_crop(json); });
    findings.check([&] {
        const auto& order = member(json, "channel_order");
        const bool is_known = order == "RGB" || order == "BGR" || order == "L";
        require(is_known && (channels_ == 0 || (order == "L") == (channels_ == 1)),
                "'channel_order' is {}; there are RGB and BGR for 3 channels and L for 1", order.dump());
        reversed_ = order == "BGR";
    });
    if (channels_ > 0) {
        findings.check([&] { mean_ = per_channel(json, "mean", channels_); });
        findings.check([&] {
            deviation_ = per_channel(json, "std", channels_);
            require(std::ranges::all_of(deviation_, [](float each) { return each > 0; }),
                    "'std' is {}; it must be positive", member(json, "std").dump());
        });
    }
    findings.check([&] { read_range(json); });
    findings.throw_if_any();
}

Image Preprocess::fit(const Image& image) const {
    Image sized = image;
    if (channels_ == 1 && image.channels == 3) sized = grey(image);
    if (channels_ == 3 && image.channels == 1) sized = colour(image);
    const auto resized = [&](std::int64_t to_height, std::int64_t to_width) {
        require(to_height <= most_pixels / to_width, "an image of {} x {} pixels resized to {} x {}",
                image.width, image.height, to_width, to_height);
        return resize(sized, to_height, to_width, filter_);
    };
    if (exact_) sized = resized(exact_->first, exact_->second);
    if (short_side_) {
        const std::int64_t shortest = std::min(image.height, image.width);
        sized = resized(*short_side_ * image.height / shortest, *short_side_ * image.width / shortest);
    }
    require(sized.channels == channels_ && (crop_ ? sized.height >= height_ && sized.width >= width_
                                                  : sized.height == height_ && sized.width == width_),
            "an image of {} channels and {} x {} pixels, where the model takes {} and {} x {}; 'resize' and "
            "'crop' in preprocess.json make it fit",
            sized.channels, sized.width, sized.height, channels_, width_, height_);
    if (sized.height == height_ && sized.width == width_) return sized;
    Image cropped{height_, width_, sized.channels, {}};
    const std::int64_t top = (sized.height - height_) / 2;
    const std::int64_t left = (sized.width - width_) / 2;
    for (std::int64_t y = top; y < top + height_; ++y) {
        const auto* row = sized.pixels.data() + (y * sized.width + left) * sized.channels;
        cropped.pixels.insert(cropped.pixels.end(), row, row + width_ * sized.channels);
    }
    return cropped;
}

void Preprocess::apply(const Image& image, std::span<float> sample) const {
    require(takes_images(), "nothing says how the model wants images: put a preprocess.json beside its file");
    const Image fitted = fit(image);
    const std::int64_t area = height_ * width_;
    ensure(std::ssize(sample) == channels_ * area, "a sample of {} values", sample.size());
    for (std::int64_t c = 0; c < channels_; ++c) {
        const std::uint8_t* pixel = fitted.pixels.data() + (reversed_ ? channels_ - 1 - c : c);
        const float mean = mean_[static_cast<std::size_t>(c)];
        const float deviation = deviation_[static_cast<std::size_t>(c)];
        for (std::int64_t i = 0; i < area; ++i)
            sample[static_cast<std::size_t>(channels_last_ ? i * channels_ + c : c * area + i)] =
                (static_cast<float>(pixel[i * channels_]) * range_ / 255.0F - mean) / deviation;
    }
}

Preprocess Preprocess::of_tensors(Shape network) {
    Preprocess preprocess;
    preprocess.shape_ = std::move(network);
    return preprocess;
}

Preprocess Preprocess::of_tensors(const std::vector<GraphInput>& inputs) {
    Preprocess preprocess;
    std::int64_t elements = 0;
    for (const GraphInput& each : inputs) elements += element_count(each.shape);
    preprocess.shape_ = {elements};
    preprocess.inputs_ = inputs;
    return preprocess;
}

void Preprocess::require_readable(const TensorSet& tensors) const {
    if (inputs_.empty()) return (void)array_for({"", shape_}, tensors);
    for (const GraphInput& input : inputs_) (void)array_for(input, tensors);
}

void Preprocess::apply(const TensorSet& tensors, std::int64_t index, std::span<float> sample) const {
    const auto read = [&](const GraphInput& input, std::span<float> part) {
        const Tensor one = array_for(input, tensors).slice(index, index + 1);
        require_kind(input, one.values<float>());
        std::ranges::copy(one.values<float>(), part.begin());
    };
    if (inputs_.empty()) return read({"", shape_}, sample);
    for (const GraphInput& input : inputs_) {
        const auto size = static_cast<std::size_t>(element_count(input.shape));
        read(input, sample.first(size));
        sample = sample.subspan(size);
    }
}

TensorSet::TensorSet(Arrays arrays) : arrays_(std::move(arrays)) {
    ensure(!arrays_.empty(), "a set of no tensors");
    for (const auto& [name, array] : arrays_)
        require(!array.shape().empty() && array.rows() == count(),
                "'{}' is of shape {}, and '{}' has {} samples", name, to_string(array.shape()),
                arrays_.front().first, count());
}

Image TensorSet::image(std::int64_t /*index*/) const {
    fail("the samples are tensors of shape {}, and images are wanted",
         to_string(arrays_.front().second.shape()));
}

Tensor preprocessed(std::span<const ImageChoice> chosen, const Preprocess& preprocess) {
    Shape shape = preprocess.shape();
    const std::int64_t size = element_count(shape);
    shape.insert(shape.begin(), std::ssize(chosen));
    Tensor samples = Tensor::empty(shape);
    parallel_for(std::ssize(chosen), 1, [&](std::int64_t i, std::int64_t) {
        const ImageChoice& each = chosen[static_cast<std::size_t>(i)];
        const auto sample = samples.values<float>().subspan(static_cast<std::size_t>(i * size),
                                                            static_cast<std::size_t>(size));
        if (const auto* tensors = dynamic_cast<const TensorSet*>(each.set))
            preprocess.apply(*tensors, each.index, sample);
        else
            preprocess.apply(each.set->image(each.index), sample);
    });
    return samples;
}

}  // namespace jlcm
