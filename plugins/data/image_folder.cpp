#include "core/data/dataset.hpp"
#include "core/data/image_selection.hpp"
#include "core/vision/image_sets.hpp"

namespace jlcm {

inline EnumNames<ImageLabels> enum_names(ImageLabels /*tag*/) {
    return {{ImageLabels::automatic, "automatic",
             "labels.csv if there is one, else a folder per class, else no labels"},
            {ImageLabels::file, "file", "labels.csv, with the columns filename and class_index"},
            {ImageLabels::folders, "folders", "a folder per class, as torchvision's ImageFolder"},
            {ImageLabels::none, "none", "every image below the folder, without a label"}};
}

namespace {

struct ImageFolderOptions {
    std::string path;
    ImageLabels labels = ImageLabels::automatic;
    ImageSelection part;
    void fields(Fields& v) {
        v("path", path,
          Doc{"A folder of JPEG and PNG files; looked for in the current directory and then "
              "where named datasets are."},
          Required{});
        v("labels", labels,
          Doc{"Where the images' classes come from. Folders are numbered by their names' order, or by their "
              "line in a classes.txt. Without labels images serve for calibration, and to compare a model "
              "with its original."});
        v("part", part, Doc{"The images to take."});
    }
};

class ImageFolder final : public Dataset {
  public:
    using Options = ImageFolderOptions;
    explicit ImageFolder(Options options) : options_(std::move(options)) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        std::error_code ignored;
        return std::filesystem::is_directory(place_data(options_.path, directories), ignored);
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        ImageData data = read_image_folder(place_data(options_.path, directories), options_.labels);
        data.source = options_.path;
        return select_images(std::move(data), options_.part);
    }

  private:
    ImageFolderOptions options_;
};

const Registrar<Dataset, ImageFolder> registrar{
    "image_folder",
    "JPEG and PNG files of a folder, with a labels.csv, in folders per class, or without labels."};

}  // namespace
}  // namespace jlcm
