#include "core/data/dataset.hpp"
#include "core/data/image_selection.hpp"
#include "core/vision/image_sets.hpp"

namespace jlcm {
namespace {

struct ImageFolderOptions {
    std::string path;
    ImageSelection part;
    void fields(Fields& v) {
        v("path", path,
          Doc{"A folder of JPEG and PNG files with a labels.csv (columns filename and class_index) and, if "
              "there is one, a classes.txt; looked for in the current directory and then where named "
              "datasets are."},
          Required{});
        v("part", part, Doc{"The images to take."});
    }
};

class ImageFolder final : public Dataset {
  public:
    using Options = ImageFolderOptions;
    explicit ImageFolder(Options options) : options_(std::move(options)) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        return std::filesystem::is_regular_file(place_data(options_.path, directories) / "labels.csv");
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        ImageData data = read_image_folder(place_data(options_.path, directories));
        data.source = options_.path;
        return select_images(std::move(data), options_.part);
    }

  private:
    ImageFolderOptions options_;
};

const Registrar<Dataset, ImageFolder> registrar{"image_folder", "JPEG and PNG files listed in a labels.csv."};

}  // namespace
}  // namespace jlcm
