#pragma once
// Images with labels as data sets are published: IDX files (MNIST and its kin), CIFAR-10's binary files,
// folders of JPEG and PNG files with a labels.csv or a folder per class. Input errors say what is wrong.

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

/// Where the labels of a folder's images come from.
enum class ImageLabels : std::uint8_t {
    automatic,  ///< labels.csv if there is one, else class folders, else none
    file,       ///< labels.csv
    folders,    ///< a folder per class
    none,       ///< nowhere: every image below the folder, without a label
};

/// Rows of a labels.csv.
struct LabelledFiles {
    std::vector<std::string> files;  ///< relative paths, none of which leaves the folder
    std::vector<std::int32_t> labels;
    std::vector<int> lines;  ///< where they stand, from 1
};

/// Parses comma-separated values (RFC 4180) in UTF-8, with the columns `filename` and `class_index` among
/// others in any order; a byte order mark, empty lines and blanks around cells do not count. `name` stands
/// for the file in the input error, which names all that is wrong with its line.
[[nodiscard]] LabelledFiles parse_labels(std::string_view text, const std::string& name);

/// The JPEG and PNG files of a folder:
/// - those that labels.csv lists, in its order, with class names from classes.txt (one per line) if there is
///   one;
/// - or those of its folders, each of which is a class, as torchvision's ImageFolder orders them. Classes are
///   numbered in the order of their names, or by their line in classes.txt;
/// - or all of them, without labels.
/// The hash covers labels.csv and every image, with their names. Input errors: no image; files that the other
/// sources of labels would take, so that it is not clear what is meant; images of formats that are not read.
[[nodiscard]] ImageData read_image_folder(const std::filesystem::path& directory,
                                          ImageLabels labels = ImageLabels::automatic);

/// Whether something in the folder makes it one of images: a labels.csv, or an image in it or in one of its
/// folders.
[[nodiscard]] bool is_image_folder(const std::filesystem::path& directory);

}  // namespace jlcm
