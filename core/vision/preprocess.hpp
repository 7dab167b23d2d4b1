#pragma once
// From an image to what a network reads, as the preprocess.json beside its file says.

#include "core/base/json.hpp"
#include "core/vision/image.hpp"
#include "core/vision/resize.hpp"

#include <optional>

namespace jlcm {

/// Resize, crop, order channels, normalise: x = (pixel * range / 255 - mean) / std.
class Preprocess {
  public:
    /// Keys: `input_size` [channels, height, width]; `resize` null, {"mode": "short_side", "size"} or
    /// {"mode": "exact", "size": [height, width]}; `crop` null or {"mode": "center", "size"}; `interpolation`
    /// null or a text that begins with bilinear or bicubic; `channel_order` RGB, BGR or L; `range` [0, 1] or
    /// [0, 255]; `mean` and `std`, one a channel in that order. Others are for people. An input error names
    /// the key.
    explicit Preprocess(const nlohmann::json& json);

    /// Of one sample: [channels, height, width].
    [[nodiscard]] const Shape& shape() const { return shape_; }
    /// An input error where the image does not become one of shape().
    void apply(const Image& image, std::span<float> sample) const;

  private:
    /// The image in the size of the input.
    [[nodiscard]] Image fit(const Image& image) const;

    Shape shape_;
    std::optional<std::int64_t> short_side_;
    std::optional<std::pair<std::int64_t, std::int64_t>> exact_;  ///< height, width
    ResizeFilter filter_ = ResizeFilter::bilinear;
    bool crop_ = false;
    bool reversed_ = false;  ///< blue, green, red
    float range_ = 1.0F;
    std::vector<float> mean_;
    std::vector<float> deviation_;
};

/// One image of a set.
struct ImageChoice {
    const ImageSet* set = nullptr;
    std::int64_t index = 0;
};

/// The chosen images as float32 [chosen, channels, height, width]; several are decoded at once.
[[nodiscard]] Tensor preprocessed(std::span<const ImageChoice> chosen, const Preprocess& preprocess);

}  // namespace jlcm
