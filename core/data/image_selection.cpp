#include "core/data/image_selection.hpp"

namespace jlcm {
namespace {

class Subset final : public ImageSet {
  public:
    Subset(std::shared_ptr<const ImageSet> all, std::vector<std::int64_t> chosen)
        : all_(std::move(all)), chosen_(std::move(chosen)) {}
    [[nodiscard]] std::int64_t count() const override { return std::ssize(chosen_); }
    [[nodiscard]] Image image(std::int64_t index) const override {
        return all_->image(chosen_.at(static_cast<std::size_t>(index)));
    }

  private:
    std::shared_ptr<const ImageSet> all_;
    std::vector<std::int64_t> chosen_;
};

}  // namespace

void ImageSelection::fields(Fields& v) {
    v("split", split,
      Doc{"Which images are taken, if a data set has no training images of its own: calibrate on "
          "calibration, evaluate on held_out."});
    v("every", every,
      Doc{"Images whose number (from 0) it divides are for calibration, all others are held out. Must be "
          "equal on both sides of a split."},
      Range{2, 1e6});
    v("skip", skip,
      Doc{"How many of them are passed over first: with first, two halves that have no image in common."},
      at_least(0));
    v("first", first, Doc{"How many of those that are left, from the start; 0: all."}, at_least(0));
}

ImageData select_images(ImageData data, const ImageSelection& selection) {
    const std::int64_t count = data.images->count();
    std::vector<std::int64_t> chosen;
    std::int64_t passed = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        const bool calibrates = i % selection.every == 0;
        const bool wanted =
            selection.split == Split::all || (selection.split == Split::calibration) == calibrates;
        if (!wanted || passed++ < selection.skip) continue;
        if (selection.first == 0 || std::ssize(chosen) < selection.first) chosen.push_back(i);
    }
    if (selection.split != Split::all)
        data.name += fmt::format(", {} 1 in {}", selection.split == Split::calibration ? "only" : "without",
                                 selection.every);
    if (selection.skip != 0) data.name += fmt::format(", without the first {}", selection.skip);
    require(!chosen.empty(), "the part \"{}\" holds no image", data.name);
    if (std::ssize(chosen) == count) return data;
    if (selection.first != 0) data.name += fmt::format(", first {}", chosen.size());
    std::vector<std::int32_t> labels;
    if (!data.labels.empty())
        for (const std::int64_t i : chosen) labels.push_back(data.labels[static_cast<std::size_t>(i)]);
    data.labels = std::move(labels);
    data.images = std::make_shared<Subset>(std::move(data.images), std::move(chosen));
    return data;
}

}  // namespace jlcm
