#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/data/dataset.hpp"
#include "core/data/image_selection.hpp"
#include "core/vision/image_sets.hpp"

namespace jlcm {
namespace {

struct Cifar10Options {
    std::string path;
    ImageSelection part;
    void fields(Fields& v) {
        v("path", path,
          Doc{"A file of CIFAR-10's binary version, e.g. test_batch.bin; looked for in the current directory "
              "and then where named datasets are."},
          Required{});
        v("part", part, Doc{"The images to take."});
    }
};

class Cifar10 final : public Dataset {
  public:
    using Options = Cifar10Options;
    explicit Cifar10(Options options) : options_(std::move(options)) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        return std::filesystem::is_regular_file(place_data(options_.path, directories));
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        const MappedFile file(place_data(options_.path, directories));
        try {
            ImageData data = parse_cifar10(file.bytes());
            data.name = "cifar10 " + file.path().filename().string();
            data.sha256 = sha256(file.bytes());
            data.source = "CIFAR-10 (Krizhevsky 2009), " + options_.path;
            return select_images(std::move(data), options_.part);
        } catch (const Error& error) {
            throw error.within(file.path().string());
        }
    }

  private:
    Cifar10Options options_;
};

const Registrar<Dataset, Cifar10> registrar{"cifar10", "A file of CIFAR-10's binary version.",
                                            "https://www.cs.toronto.edu/~kriz/cifar.html"};

}  // namespace
}  // namespace jlcm
