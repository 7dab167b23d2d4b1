#include "core/vision/image_sets.hpp"

#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/parallel.hpp"
#include "core/vision/image_file.hpp"

#include <algorithm>
#include <charconv>

namespace jlcm {
namespace {

namespace fs = std::filesystem;

std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
    return std::to_integer<std::uint8_t>(bytes[at]);
}

/// The sides of an IDX file of unsigned bytes with `dimensions` of them; the bytes after the header must be
/// as many.
Shape idx_shape(std::span<const std::byte> bytes, std::size_t dimensions, const char* what) {
    const std::size_t header = 4 + 4 * dimensions;
    require(bytes.size() >= header && byte_at(bytes, 0) == 0 && byte_at(bytes, 1) == 0 &&
                byte_at(bytes, 2) == 8 && byte_at(bytes, 3) == dimensions,
            "the {} are no IDX file of unsigned bytes with {} dimensions", what, dimensions);
    Shape shape;
    std::uint64_t size = 1;
    for (std::size_t d = 0; d < dimensions; ++d) {
        std::uint64_t side = 0;
        for (std::size_t i = 0; i < 4; ++i) side = side << 8U | byte_at(bytes, 4 + 4 * d + i);
        require(side > 0 && size <= bytes.size() / side, "the {} are cut short or empty", what);
        size *= side;
        shape.push_back(static_cast<std::int64_t>(side));
    }
    require(size == bytes.size() - header, "the {} hold {} bytes, and their header says {}", what,
            bytes.size() - header, size);
    return shape;
}

/// The cells of a line of CSV: quotes may hold commas, "" in them is one.
std::vector<std::string> cells_of(std::string_view line) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
            cells.back() += line[++i];
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            cells.emplace_back();
        } else {
            cells.back() += c;
        }
    }
    return cells;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.empty()) lines.emplace_back(line);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

struct LabelledFiles {
    std::vector<std::string> files;
    std::vector<std::int32_t> labels;
};

LabelledFiles parse_labels(const std::string& text) {
    const auto lines = lines_of(text);
    const auto header = cells_of(lines.empty() ? "" : lines.front());
    const auto column = [&](const char* name) {
        const auto found = std::ranges::find(header, name);
        require(found != header.end(), "the header has no column '{}'", name);
        return static_cast<std::size_t>(found - header.begin());
    };
    const std::size_t file = column("filename");
    const std::size_t label = column("class_index");
    LabelledFiles result;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const auto cells = cells_of(lines[i]);
        require(cells.size() == header.size(), "line {} has {} cells, the header has {}", i + 1, cells.size(),
                header.size());
        const std::string& name = cells[file];
        require(fs::path(name).filename() == name && !name.empty() && name != "." && name != "..",
                "line {}: '{}' is not the name of a file beside it", i + 1, name);
        std::int32_t number = -1;
        const auto [end, error] =
            std::from_chars(cells[label].data(), cells[label].data() + cells[label].size(), number);
        require(error == std::errc() && end == cells[label].data() + cells[label].size() && number >= 0 &&
                    number < 1 << 20,
                "line {}: the class '{}' is no number from 0", i + 1, cells[label]);
        result.files.push_back(name);
        result.labels.push_back(number);
    }
    require(!result.files.empty(), "no image is listed");
    return result;
}

class FolderSet final : public ImageSet {
  public:
    FolderSet(fs::path directory, std::vector<std::string> files)
        : directory_(std::move(directory)), files_(std::move(files)) {}
    [[nodiscard]] std::int64_t count() const override { return std::ssize(files_); }
    [[nodiscard]] Image image(std::int64_t index) const override {
        const fs::path path = directory_ / files_.at(static_cast<std::size_t>(index));
        const MappedFile file(path);
        try {
            return decode_image(file.bytes());
        } catch (const Error& error) {
            throw error.within(path.string());
        }
    }

  private:
    fs::path directory_;
    std::vector<std::string> files_;
};

/// Of the lines "<sha256>  <file name>\n" of the listed files, in the list's order.
std::string hash_of(const fs::path& directory, const std::vector<std::string>& files) {
    std::vector<std::string> digests(files.size());
    parallel_for(std::ssize(files), 1, [&](std::int64_t i, std::int64_t) {
        const auto at = static_cast<std::size_t>(i);
        digests[at] = sha256(MappedFile(directory / files[at]).bytes());
    });
    Sha256 all;
    for (std::size_t i = 0; i < files.size(); ++i) all.update(fmt::format("{}  {}\n", digests[i], files[i]));
    return all.hex();
}

}  // namespace

PixelSet::PixelSet(std::vector<std::byte> pixels, const Shape& image, Order order)
    : pixels_(std::move(pixels)), height_(image[0]), width_(image[1]), channels_(image[2]), order_(order) {
    ensure(std::ssize(pixels_) % (height_ * width_ * channels_) == 0, "{} bytes for images {}",
           pixels_.size(), to_string(image));
}

std::int64_t PixelSet::count() const {
    return std::ssize(pixels_) / (height_ * width_ * channels_);
}

Image PixelSet::image(std::int64_t index) const {
    const std::int64_t area = height_ * width_;
    const std::span stored = std::span(pixels_).subspan(static_cast<std::size_t>(index * area * channels_),
                                                        static_cast<std::size_t>(area * channels_));
    Image image{height_, width_, channels_, std::vector<std::uint8_t>(stored.size())};
    for (std::int64_t i = 0; i < area; ++i)
        for (std::int64_t c = 0; c < channels_; ++c) {
            const std::int64_t from = order_ == Order::planar ? c * area + i : i * channels_ + c;
            image.pixels[static_cast<std::size_t>(i * channels_ + c)] =
                byte_at(stored, static_cast<std::size_t>(from));
        }
    return image;
}

ImageData parse_idx(std::vector<std::byte> images, std::span<const std::byte> labels) {
    const Shape shape = idx_shape(images, 3, "images");
    const Shape count = idx_shape(labels, 1, "labels");
    require(shape[0] == count[0], "{} images and {} labels", shape[0], count[0]);
    ImageData data;
    for (const std::byte label : labels.subspan(8))
        data.labels.push_back(std::to_integer<std::int32_t>(label));
    images.erase(images.begin(), images.begin() + 16);
    data.images = std::make_shared<PixelSet>(std::move(images), Shape{shape[1], shape[2], 1},
                                             PixelSet::Order::interleaved);
    return data;
}

ImageData parse_cifar10(std::span<const std::byte> bytes) {
    constexpr std::size_t pixels = std::size_t{3} * 32 * 32;
    constexpr std::size_t record = 1 + pixels;
    require(!bytes.empty() && bytes.size() % record == 0, "{} bytes are no whole number of records of {}",
            bytes.size(), record);
    ImageData data;
    std::vector<std::byte> planes;
    planes.reserve(bytes.size());
    for (; !bytes.empty(); bytes = bytes.subspan(record)) {
        const auto label = std::to_integer<std::int32_t>(bytes.front());
        require(label < 10, "image {} has the class {}, and there are 10", data.labels.size(), label);
        data.labels.push_back(label);
        const auto image = bytes.subspan(1, pixels);
        planes.insert(planes.end(), image.begin(), image.end());
    }
    data.images = std::make_shared<PixelSet>(std::move(planes), Shape{32, 32, 3}, PixelSet::Order::planar);
    data.classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    return data;
}

ImageData read_image_folder(const fs::path& directory) {
    const fs::path list = directory / "labels.csv";
    const std::string text = read_file(list);
    LabelledFiles listed;
    try {
        listed = parse_labels(text);
    } catch (const Error& error) {
        throw error.within(list.string());
    }
    ImageData data;
    data.name = fs::absolute(directory).lexically_normal().filename().string();
    data.sha256 = sha256(sha256(text) + hash_of(directory, listed.files));
    data.labels = std::move(listed.labels);
    data.images = std::make_shared<FolderSet>(directory, std::move(listed.files));
    std::error_code ignored;
    if (const fs::path names = directory / "classes.txt"; fs::is_regular_file(names, ignored))
        data.classes = lines_of(read_file(names));
    return data;
}

}  // namespace jlcm
