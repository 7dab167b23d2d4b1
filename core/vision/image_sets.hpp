#pragma once
// Images with labels as data sets are published: IDX files (MNIST and its kin), CIFAR-10's binary files,
// folders of JPEG and PNG files with a labels.csv. Input errors say what is wrong.

#include "core/vision/image.hpp"

#include <filesystem>

namespace jlcm {

/// 8-bit images of one size that lie in memory.
class PixelSet final : public ImageSet {
  public:
    enum class Order : std::uint8_t { interleaved, planar };
    PixelSet(std::vector<std::byte> pixels, const Shape& image, Order order);
    [[nodiscard]] std::int64_t count() const override;
    [[nodiscard]] Image image(std::int64_t index) const override;

  private:
    std::vector<std::byte> pixels_;
    std::int64_t height_;
    std::int64_t width_;
    std::int64_t channels_;
    Order order_;
};

/// Labels and images of a pair of IDX files (http://yann.lecun.com/exdb/mnist: big-endian, unsigned bytes),
/// unpacked: [n] and [n, height, width]. Name, hash and class names are left to the caller.
[[nodiscard]] ImageData parse_idx(std::vector<std::byte> images, std::span<const std::byte> labels);

/// CIFAR-10's binary version: a label byte and 3 x 32 x 32 planar bytes an image.
[[nodiscard]] ImageData parse_cifar10(std::span<const std::byte> bytes);

/// The images that labels.csv lists (columns `filename` and `class_index`, found by the header), in its
/// order; class names from classes.txt (one a line) where there is one. The hash covers labels.csv and every
/// image that it lists.
[[nodiscard]] ImageData read_image_folder(const std::filesystem::path& directory);

}  // namespace jlcm
