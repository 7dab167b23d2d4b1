#include "core/vision/image_sets.hpp"

#include "core/base/file_list.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/problems.hpp"
#include "core/text/byte_order_mark.hpp"
#include "core/vision/image_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>

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

/// Rows of comma-separated values (RFC 4180), line by line.
class CsvReader {
  public:
    struct Row {
        int line = 0;  ///< where it begins
        std::vector<std::string> cells;
    };
    CsvReader(std::string_view text, const std::string& name, ProblemList& problems)
        : rest_(text), name_(name), problems_(problems) {}

    /// Reads the next row that is not empty; false if there is none.
    bool next(Row& row) {
        while (!rest_.empty()) {
            row = {.line = line_, .cells = {}};
            bool is_quoted = false;
            do row.cells.push_back(cell(is_quoted));
            while (take(','));
            if (!end_of_line() && !rest_.empty()) {
                problems_.add({name_, row.line, 0}, "there is text behind a closing quote");
                rest_.remove_prefix(std::min(rest_.size(), rest_.find_first_of("\r\n")));
                (void)end_of_line();
            }
            if (row.cells.size() > 1 || !row.cells.front().empty() || is_quoted) return true;
        }
        return false;
    }

  private:
    static constexpr std::string_view blanks = " \t";

    bool take(char c) {
        const bool is_next = rest_.starts_with(c);
        if (is_next) rest_.remove_prefix(1);
        return is_next;
    }
    bool end_of_line() {
        const bool carriage_return = take('\r');
        if (!take('\n') && !carriage_return) return false;
        ++line_;
        return true;
    }
    void skip_blanks() { rest_.remove_prefix(std::min(rest_.size(), rest_.find_first_not_of(blanks))); }

    std::string cell(bool& is_quoted) {
        skip_blanks();
        if (take('"')) {
            is_quoted = true;
            return quoted();
        }
        const std::string_view plain = rest_.substr(0, rest_.find_first_of(",\r\n"));
        rest_.remove_prefix(plain.size());
        return std::string(plain.substr(0, plain.find_last_not_of(blanks) + 1));  // npos + 1 == 0
    }

    std::string quoted() {
        const int first = line_;
        std::string cell;
        while (!rest_.empty()) {
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"' && !take('"')) {
                skip_blanks();
                return cell;
            }
            if (c == '\n') ++line_;
            cell += c;
        }
        problems_.add({name_, first, 0}, "a quote is never closed");
        return cell;
    }

    std::string_view rest_;
    const std::string& name_;
    ProblemList& problems_;
    int line_ = 1;
};

/// The header's column `name`; a problem, and the first, if there is none.
std::size_t column_of(const CsvReader::Row& header, const std::string& name, const std::string& file,
                      ProblemList& problems) {
    const auto found = std::ranges::find(header.cells, name);
    if (found != header.cells.end()) return static_cast<std::size_t>(found - header.cells.begin());
    const std::string near = nearest_word(name, header.cells);
    problems.add({file, header.line, 0},
                 fmt::format("the header has no column '{}'{}", name,
                             near.empty() ? "" : fmt::format("; is '{}' meant?", near)));
    return 0;
}

/// Spreadsheets write other separators in some countries.
void require_commas(const CsvReader::Row& header, const std::string& file) {
    for (const char other : {';', '\t'})
        require(header.cells.size() != 1 || header.cells.front().find(other) == std::string::npos,
                "{}:{}: cells are separated by {}, and commas are expected", file, header.line,
                other == ';' ? "semicolons" : "tabs");
}

/// A whole number from 0, which tables with gaps hold as "3.0".
std::optional<std::int32_t> class_number(std::string_view digits) {
    constexpr std::int32_t beyond = 1 << 20;
    std::int32_t number = -1;
    const char* last = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), last, number);
    const std::string_view rest(end, last);
    const bool is_whole = rest.empty() || (rest.size() > 1 && rest.front() == '.' &&
                                           rest.find_first_not_of('0', 1) == std::string_view::npos);
    if (error != std::errc() || !is_whole || number < 0 || number >= beyond) return std::nullopt;
    return number;
}

/// Whether it names something below the folder that it is relative to.
bool stays_below(const fs::path& path) {
    return !path.empty() && path.is_relative() && path.has_filename() &&
           std::ranges::none_of(path, [](const fs::path& part) { return part == "." || part == ".."; });
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    for (text = without_byte_order_mark(text); !text.empty();) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.empty()) lines.emplace_back(line);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
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

constexpr std::array<std::string_view, 3> readable{".jpg", ".jpeg", ".png"};
constexpr std::array<std::string_view, 10> unreadable{".avif", ".bmp", ".gif", ".heic", ".jp2",
                                                      ".pgm",  ".ppm", ".tif", ".tiff", ".webp"};

/// Images below a folder.
struct FoundImages {
    std::vector<std::string> loose;   ///< in the folder itself
    std::vector<std::string> nested;  ///< in folders
};

FoundImages images_below(const fs::path& directory) {
    FoundImages found;
    std::vector<std::string> others;
    for (std::string& file : files_below(directory)) {
        if (ends_in_one_of(file, unreadable)) others.push_back(file);
        if (!ends_in_one_of(file, readable)) continue;
        (file.find('/') == std::string::npos ? found.loose : found.nested).push_back(std::move(file));
    }
    require(
        others.empty(),
        "{}: {} of its images are neither JPEG nor PNG, {} is the first; convert them, or list the images "
        "to take in a labels.csv",
        directory.string(), others.size(), others.empty() ? "" : others.front());
    require(!found.loose.empty() || !found.nested.empty(),
            "{}: there is no labels.csv and no JPEG or PNG file", directory.string());
    return found;
}

std::vector<std::string> folders_in(const fs::path& directory) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory))
        if (const std::string name = entry.path().filename().string();
            entry.is_directory() && !name.starts_with('.'))
            names.push_back(name);
    std::ranges::sort(names);
    return names;
}

/// The images of class folders, and their classes in `data`, which may hold the lines of classes.txt.
LabelledFiles labelled_by_folder(const fs::path& directory, std::vector<std::string> images,
                                 ImageData& data) {
    const auto folders = folders_in(directory);
    if (data.classes.empty()) data.classes = folders;
    std::map<std::string, std::int32_t> numbers;
    ProblemList problems;
    for (const std::string& folder : folders) {
        const auto found = std::ranges::find(data.classes, folder);
        if (found == data.classes.end())
            problems.add(
                {directory.string(), 0, 0},
                fmt::format("classes.txt, which numbers the classes, has no line for the folder '{}'; "
                            "complete it, or remove it to number folders by their names",
                            folder));
        if (std::ranges::none_of(images,
                                 [&](const std::string& file) { return file.starts_with(folder + "/"); }))
            problems.add({directory.string(), 0, 0},
                         fmt::format("the class folder '{}' holds no JPEG or PNG file; remove it", folder));
        numbers[folder] = static_cast<std::int32_t>(found - data.classes.begin());
    }
    problems.throw_if_any();
    LabelledFiles result;
    for (const std::string& file : images)
        result.labels.push_back(numbers.at(file.substr(0, file.find('/'))));
    result.files = std::move(images);
    return result;
}

LabelledFiles listed_in(const fs::path& list, const std::string& text) {
    LabelledFiles listed = parse_labels(text, list.string());
    ProblemList problems;
    std::error_code ignored;
    for (std::size_t i = 0; i < listed.files.size(); ++i)
        if (!fs::is_regular_file(list.parent_path() / listed.files[i], ignored))
            problems.add({list.string(), listed.lines[i], 0},
                         fmt::format("filename: there is no file '{}' beside it", listed.files[i]));
    problems.throw_if_any();
    return listed;
}

/// The images with the labels that are wanted; classes of `data` as it holds them or, of folders, anew.
LabelledFiles labelled_files(const fs::path& directory, ImageLabels labels, ImageData& data) {
    FoundImages found = images_below(directory);
    if (labels == ImageLabels::automatic) {
        require(found.loose.empty() || found.nested.empty(),
                "{}: there are images in it ({}) and in its folders ({}), so that it is not clear whether "
                "folders are classes; say labels: folders, or labels: none, or write a labels.csv",
                directory.string(), found.loose.empty() ? "" : found.loose.front(),
                found.nested.empty() ? "" : found.nested.front());
        labels = found.nested.empty() ? ImageLabels::none : ImageLabels::folders;
    }
    if (labels == ImageLabels::folders) {
        require(!found.nested.empty(), "{}: it has no folders with images, one per class",
                directory.string());
        return labelled_by_folder(directory, std::move(found.nested), data);
    }
    LabelledFiles all{.files = std::move(found.loose), .labels = {}, .lines = {}};
    std::ranges::move(found.nested, std::back_inserter(all.files));
    return all;
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

LabelledFiles parse_labels(std::string_view text, const std::string& name) {
    try {
        text = without_byte_order_mark(text);
    } catch (const Error& error) {
        throw error.within(name);
    }
    ProblemList problems;
    CsvReader reader(text, name, problems);
    CsvReader::Row header{1, {}};
    (void)reader.next(header);
    require_commas(header, name);
    const std::size_t file = column_of(header, "filename", name, problems);
    const std::size_t label = column_of(header, "class_index", name, problems);
    problems.throw_if_any();
    LabelledFiles result;
    for (CsvReader::Row row; reader.next(row);) {
        const auto wrong = [&](std::string_view message) { problems.add({name, row.line, 0}, message); };
        if (row.cells.size() != header.cells.size()) {
            wrong(fmt::format("{} cells, and the header has {}", row.cells.size(), header.cells.size()));
            continue;
        }
        const std::string& path = row.cells[file];
        if (!stays_below(path))
            wrong(fmt::format("filename: '{}' is not the path of a file below this folder", path));
        const auto number = class_number(row.cells[label]);
        if (!number) wrong(fmt::format("class_index: '{}' is not a whole number from 0", row.cells[label]));
        result.files.push_back(path);
        result.labels.push_back(number.value_or(0));
        result.lines.push_back(row.line);
    }
    problems.throw_if_any();
    require(!result.files.empty(), "{}: no image is listed", name);
    return result;
}

bool is_image_folder(const fs::path& directory) {
    std::error_code ignored;
    if (fs::exists(directory / "labels.csv", ignored)) return true;
    const auto files = files_below(directory);
    return std::ranges::any_of(files, [](const std::string& file) {
        return ends_in_one_of(file, readable) || ends_in_one_of(file, unreadable);
    });
}

ImageData read_image_folder(const fs::path& directory, ImageLabels labels) {
    std::error_code ignored;
    require(fs::is_directory(directory, ignored), "{}: there is no such folder", directory.string());
    ImageData data;
    data.name = without_last_slash(fs::absolute(directory).lexically_normal()).filename().string();
    if (const fs::path names = directory / "classes.txt"; fs::is_regular_file(names, ignored))
        data.classes = lines_of(read_file(names));
    const fs::path list = directory / "labels.csv";
    if (labels == ImageLabels::automatic && fs::exists(list, ignored)) labels = ImageLabels::file;
    LabelledFiles listed;
    std::string text;
    if (labels == ImageLabels::file) {
        text = read_file(list);
        listed = listed_in(list, text);
    } else {
        listed = labelled_files(directory, labels, data);
        for (std::size_t i = 0; i < listed.labels.size(); ++i)
            text += fmt::format("{},{}\n", listed.files[i], listed.labels[i]);
    }
    data.sha256 = sha256(sha256(text) + sha256_of_files(directory, listed.files));
    data.labels = std::move(listed.labels);
    data.images = std::make_shared<FolderSet>(directory, std::move(listed.files));
    return data;
}

}  // namespace jlcm
