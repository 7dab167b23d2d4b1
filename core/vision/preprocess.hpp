#pragma once
// From an image to what a network reads, as the preprocess.json beside its file says.

#include "core/base/json.hpp"
#include "core/graph/graph.hpp"
#include "core/vision/image.hpp"
#include "core/vision/resize.hpp"

#include <optional>

namespace jlcm {

/// Resize, crop, order channels, normalise: x = (pixel * range / 255 - mean) / std. Colour images become grey
/// for a network of one channel (ITU-R 601, as Pillow's convert("L")), grey ones are repeated for one of
/// three.
class Preprocess {
  public:
    /// Keys: `input_size` [channels, height, width], of one or three channels; `layout` NCHW, or NHWC where
    /// the network reads [height, width, channels] (`input_size` may have this order then); `resize` null,
    /// {"mode": "short_side", "size"} or {"mode": "exact", "size": [height, width]}; `crop` null or {"mode":
    /// "center", "size"}; `interpolation` null or a text that begins with bilinear or bicubic;
    /// `channel_order` RGB, BGR or L; `range` [0, 1] or [0, 255]; `mean` and `std`, one a channel in that
    /// order. For people: name, description, formula, input_name, output_name, output, class_index,
    /// eval_data, source, license, url, note, notes.
    ///
    /// `network`: the shape of one sample that the network reads; empty where nobody knows it. One input
    /// error names every key that is unknown, wrong, or says something else than the network or another key.
    explicit Preprocess(const nlohmann::json& json, const Shape& network = {});

    /// Of a network that nothing says of how it wants images: it reads tensors of the shape `network` as they are.
    [[nodiscard]] static Preprocess of_tensors(Shape network);
    /// The same of a network of several inputs: it reads their record (core/graph/record.hpp).
    [[nodiscard]] static Preprocess of_tensors(const std::vector<GraphInput>& inputs);
    [[nodiscard]] bool takes_images() const { return channels_ > 0; }

    /// Of one sample: [channels, height, width], or [height, width, channels]; of tensors any.
    [[nodiscard]] const Shape& shape() const { return shape_; }
    /// An input error where the image does not become one of shape().
    void apply(const Image& image, std::span<float> sample) const;
    /// The inputs that a sample is a record of; empty: it is one tensor.
    [[nodiscard]] const std::vector<GraphInput>& inputs() const { return inputs_; }
    /// An input error unless the set has an array for each input, of its shape.
    void require_readable(const TensorSet& tensors) const;
    /// A sample of such a set. An input error names elements that are not of the input's kind.
    void apply(const TensorSet& tensors, std::int64_t index, std::span<float> sample) const;

  private:
    Preprocess() = default;
    void read_size(const nlohmann::json& json, const Shape& network);
    void read_resize(const nlohmann::json& json);
    void read_crop(const nlohmann::json& json);
    void read_range(const nlohmann::json& json);
    /// The image in the size of the input.
    [[nodiscard]] Image fit(const Image& image) const;

    Shape shape_;
    std::vector<GraphInput> inputs_;
    std::int64_t channels_ = 0;
    std::int64_t height_ = 0;
    std::int64_t width_ = 0;
    bool channels_last_ = false;
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

/// The chosen images as float32 [chosen, channels, height, width]; several are decoded at once. Of a TensorSet its
/// samples as they are; an input error where their shape is not that of the network.
[[nodiscard]] Tensor preprocessed(std::span<const ImageChoice> chosen, const Preprocess& preprocess);

}  // namespace jlcm
