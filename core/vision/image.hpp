#pragma once
// Images in memory, and how networks want them.

#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace jlcm {

/// 8-bit pixels, row by row, the channels of a pixel side by side.
struct Image {
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::int64_t channels = 0;  ///< 1: grey; 3: red, green, blue
    std::vector<std::uint8_t> pixels;
};

/// Numbered images, decoded when they are asked for. Calls may come from several threads.
class ImageSet {
  public:
    ImageSet() = default;
    ImageSet(const ImageSet&) = delete;
    ImageSet& operator=(const ImageSet&) = delete;
    virtual ~ImageSet() = default;

    [[nodiscard]] virtual std::int64_t count() const = 0;
    /// An input error names the file that cannot be decoded.
    [[nodiscard]] virtual Image image(std::int64_t index) const = 0;
};

/// Numbered samples that are no pictures, as a network reads them: float32 [samples, ...], an array for each of its
/// inputs. Wherever sets of images go they go too; nothing is done to them.
class TensorSet final : public ImageSet {
  public:
    using Arrays = std::vector<std::pair<std::string, Tensor>>;
    /// By name, all of as many samples; one array serves whatever the input is called.
    explicit TensorSet(Arrays arrays);
    explicit TensorSet(Tensor samples) : TensorSet(Arrays{{"", std::move(samples)}}) {}
    [[nodiscard]] const Arrays& arrays() const { return arrays_; }
    [[nodiscard]] std::int64_t count() const override { return arrays_.front().second.rows(); }
    /// An input error: there is none.
    [[nodiscard]] Image image(std::int64_t index) const override;

  private:
    Arrays arrays_;
};

/// Images (or other samples) with their classes, as datasets hold them.
struct ImageData {
    std::string name;    ///< as tables show it, with the part that was taken
    std::string sha256;  ///< of the files' bytes; with `name` it says which images these are
    std::string source;  ///< where they come from, for records; may be empty
    std::shared_ptr<const ImageSet> images;
    std::vector<std::int32_t> labels;  ///< the class of each image, from 0; empty: no image has a label
    std::vector<std::string> classes;  ///< names of classes; empty where the files give none
};

}  // namespace jlcm
