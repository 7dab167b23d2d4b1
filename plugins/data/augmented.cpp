#include "core/base/rng.hpp"
#include "core/data/dataset.hpp"
#include "core/vision/resize.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

struct AugmentedOptions {
    DatasetChoice dataset;
    std::int64_t copies = 16;
    double least_area = 0.35;
    bool flip = true;
    double mix = 0;
    void fields(Fields& v) {
        v("dataset", dataset, Doc{"The images."}, Required{});
        v("copies", copies,
          Doc{"Views of each image. Nothing is stored: each is made when it is drawn. Calibration draws "
              "without replacement, so more cost nothing."},
          Range{1, 1e4});
        v("least_area", least_area,
          Doc{"A view is a part of the image of at least this share of its area, its sides in a ratio of 3/4 "
              "to 4/3 of the image's, enlarged to the image's size. 1: the whole image."},
          Range{0.01, 1.0});
        v("flip", flip, Doc{"Half of the views are mirrored, left to right. Not for digits and letters."});
        v("mix", mix,
          Doc{"Share of the views in which a rectangle, of any area up to the whole, shows a view of another "
              "image. Such a view keeps its own label.",
              "CutMix, arXiv 1905.04899"},
          Range{0.0, 1.0});
    }
};

/// What a view shows of its image.
struct View {
    double area = 1;    ///< share of the image's
    double aspect = 1;  ///< width over height, in units of the image's
    double x = 0;       ///< share of what is left of the width that lies to the left
    double y = 0;
    bool mirrored = false;
};

Image of_size(Image image, std::int64_t height, std::int64_t width) {
    if (image.height == height && image.width == width) return image;
    return resize(image, height, width, ResizeFilter::bilinear);
}

Image part_of(const Image& image, const View& view) {
    const auto side = [&](std::int64_t whole, double share) {
        return std::clamp<std::int64_t>(std::llround(static_cast<double>(whole) * share), 1, whole);
    };
    const std::int64_t height = side(image.height, std::sqrt(view.area / view.aspect));
    const std::int64_t width = side(image.width, std::sqrt(view.area * view.aspect));
    const auto top = static_cast<std::int64_t>(static_cast<double>(image.height - height + 1) * view.y);
    const auto left = static_cast<std::int64_t>(static_cast<double>(image.width - width + 1) * view.x);
    Image part{height, width, image.channels, {}};
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
            const std::int64_t from = left + (view.mirrored ? width - 1 - x : x);
            const auto* pixel = image.pixels.data() + ((top + y) * image.width + from) * image.channels;
            part.pixels.insert(part.pixels.end(), pixel, pixel + image.channels);
        }
    }
    return of_size(std::move(part), image.height, image.width);
}

/// A rectangle of `share` of the image's sides, about the point (x, y) in shares of them, shows `other`
/// there.
void paste(Image& image, const Image& other, double share, double x, double y) {
    const auto range = [share](std::int64_t whole, double middle) {
        const auto at = [&](double shift) {
            return std::clamp<std::int64_t>(std::llround(static_cast<double>(whole) * (middle + shift)), 0,
                                            whole);
        };
        return std::pair(at(-share / 2), at(share / 2));
    };
    const auto [top, bottom] = range(image.height, y);
    const auto [left, right] = range(image.width, x);
    for (std::int64_t row = top; row < bottom; ++row) {
        const std::int64_t begin = (row * image.width + left) * image.channels;
        std::copy_n(other.pixels.begin() + begin, (right - left) * image.channels,
                    image.pixels.begin() + begin);
    }
}

class Views final : public ImageSet {
  public:
    Views(std::shared_ptr<const ImageSet> images, const AugmentedOptions& options)
        : images_(std::move(images)), options_(options), rng_(0, "augmentation"), mixing_(0, "mixing") {}
    [[nodiscard]] std::int64_t count() const override { return images_->count() * options_.copies; }
    [[nodiscard]] Image image(std::int64_t index) const override {
        Image shown = unmixed(index);
        const auto draw = [&](std::uint64_t which) {
            return mixing_.uniform(static_cast<std::uint64_t>(index) * 5 + which);
        };
        if (draw(0) >= options_.mix) return shown;
        const auto other_index =
            std::min(count() - 1, static_cast<std::int64_t>(draw(1) * static_cast<double>(count())));
        // Images of a folder may differ in size.
        const Image other = of_size(unmixed(other_index), shown.height, shown.width);
        paste(shown, other, std::sqrt(draw(2)), draw(3), draw(4));
        return shown;
    }

  private:
    [[nodiscard]] Image unmixed(std::int64_t index) const {
        return part_of(images_->image(index % images_->count()), view(index));
    }
    [[nodiscard]] View view(std::int64_t index) const {
        const auto draw = [&](std::uint64_t which) {
            return rng_.uniform(static_cast<std::uint64_t>(index) * 5 + which);
        };
        const double most = std::min(std::log(4.0 / 3.0), -std::log(options_.least_area));
        return {.area = options_.least_area + (1.0 - options_.least_area) * draw(0),
                .aspect = std::exp(most * (2.0 * draw(1) - 1.0)),
                .x = draw(2),
                .y = draw(3),
                .mirrored = options_.flip && draw(4) < 0.5};
    }

    std::shared_ptr<const ImageSet> images_;
    AugmentedOptions options_;
    Rng rng_;
    Rng mixing_;
};

class Augmented final : public Dataset {
  public:
    using Options = AugmentedOptions;
    explicit Augmented(Options options) : options_(std::move(options)), dataset_(options_.dataset.make()) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        return dataset_->is_available(directories);
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        ImageData data = load_images(*dataset_, directories);
        data.name += fmt::format(", {} views each", options_.copies);
        std::vector<std::int32_t> labels;
        for (std::int64_t i = 0; i < options_.copies; ++i)
            labels.insert(labels.end(), data.labels.begin(), data.labels.end());
        data.labels = std::move(labels);
        data.images = std::make_shared<Views>(std::move(data.images), options_);
        return data;
    }

  private:
    AugmentedOptions options_;
    std::unique_ptr<Dataset> dataset_;
};

const Registrar<Dataset, Augmented> registrar{
    "augmented", "Random parts of another dataset's images, mirrored and not: for few calibration images.",
    "Szegedy et al., Going deeper with convolutions, CVPR 2015, section 6"};

}  // namespace
}  // namespace jlcm
