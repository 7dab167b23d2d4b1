#include "core/base/hash.hpp"
#include "core/data/dataset.hpp"
#include "core/data/image_selection.hpp"
#include "core/formats/gzip.hpp"
#include "core/vision/image_sets.hpp"

namespace jlcm {
namespace {

struct Part {
    std::string_view name;
    std::string_view files;  ///< their names begin with it
    std::string_view images_sha256;
    std::string_view labels_sha256;
};

constexpr Part training{"fashion-mnist-train", "train",
                        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"};
constexpr Part test{"fashion-mnist-test", "t10k",
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"};

/// The file `name` of Fashion-MNIST, packed or not, in one of `directories` or where Debian's package has it.
std::filesystem::path find(const std::string& name, Directories directories) {
    directories.emplace_back("/usr/share/datasets");
    for (const char* suffix : {".gz", ""})
        if (auto path = find_data_file("fashion-mnist/" + name + suffix, directories); !path.empty())
            return path;
    return {};
}

std::vector<std::byte> read(const std::string& name, std::string_view expected,
                            const Directories& directories) {
    const auto path = find(name, directories);
    require(
        !path.empty(),
        "Fashion-MNIST's file fashion-mnist/{}.gz is neither in /usr/share/datasets nor in a directory of "
        "data_path or JLCM_DATA\nInstall the Debian package dataset-fashion-mnist (scripts/setup.sh does), "
        "or put it there",
        name);
    auto bytes = read_maybe_gzip(path, std::size_t{1} << 28);
    const std::string hash = sha256(std::span<const std::byte>(bytes));
    require(hash == expected, "{} is not Fashion-MNIST's: the SHA-256 of its content is {}, expected {}",
            path.string(), hash, expected);
    return bytes;
}

template <const Part& part>
class FashionMnist final : public Dataset {
  public:
    using Options = ImageSelection;
    explicit FashionMnist(const Options& options) : selection_(options) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        return !find(images(), directories).empty() && !find(labels(), directories).empty();
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        ImageData data = parse_idx(read(images(), part.images_sha256, directories),
                                   read(labels(), part.labels_sha256, directories));
        data.name = part.name;
        data.sha256 = sha256(fmt::format("{} {}", part.images_sha256, part.labels_sha256));
        data.source = "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747); MIT";
        data.classes = {"T-shirt/top", "trouser", "pullover", "dress", "coat",
                        "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
        return select_images(std::move(data), selection_);
    }

  private:
    static std::string images() { return fmt::format("{}-images-idx3-ubyte", part.files); }
    static std::string labels() { return fmt::format("{}-labels-idx1-ubyte", part.files); }
    ImageSelection selection_;
};

const Registrar<Dataset, FashionMnist<training>> train_registrar{
    "fashion-mnist-train",
    "Fashion-MNIST's 60,000 training images; Debian has them (dataset-fashion-mnist)."};
const Registrar<Dataset, FashionMnist<test>> test_registrar{
    "fashion-mnist-test", "Fashion-MNIST's 10,000 test images; Debian has them (dataset-fashion-mnist)."};

}  // namespace
}  // namespace jlcm
