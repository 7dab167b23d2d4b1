#include "core/data/dataset.hpp"

#include "core/base/file_list.hpp"
#include "core/vision/image_sets.hpp"

#include <array>
#include <filesystem>

namespace jlcm {

const std::string& name_of(const Data& data) {
    return std::visit([](const auto& each) -> const std::string& { return each.name; }, data);
}

nlohmann::json identity_of(const Data& data) {
    if (const auto* text = std::get_if<TextData>(&data))
        return {{"text", text->name}, {"text_sha256", text->sha256}};
    const auto& images = std::get<ImageData>(data);
    return {{"images", images.name}, {"images_sha256", images.sha256}};
}

TextData load_text(const Dataset& dataset, const Directories& directories) {
    Data data = dataset.load(directories);
    require(std::holds_alternative<TextData>(data), "{} holds images, and a text is wanted here",
            name_of(data));
    return std::get<TextData>(std::move(data));
}

ImageData load_images(const Dataset& dataset, const Directories& directories) {
    Data data = dataset.load(directories);
    require(std::holds_alternative<ImageData>(data), "{} is a text, and images are wanted here",
            name_of(data));
    return std::get<ImageData>(std::move(data));
}

namespace {

constexpr std::array<std::string_view, 5> json_endings{".jsonl", ".jsonl.gz", ".ndjson", ".json", ".json.gz"};
constexpr std::array<std::string_view, 2> text_endings{".txt", ".txt.gz"};

bool is_path(const Config& given) {
    return given.kind == Config::Kind::scalar &&
           (given.text.find('/') != std::string::npos || ends_in_one_of(given.text, text_endings) ||
            ends_in_one_of(given.text, json_endings));
}

/// The plugin that reads what lies at `path`.
std::string reader_of(const std::string& path) {
    if (ends_in_one_of(path, json_endings)) return "jsonl";
    const auto place = place_data(path, data_directories());
    std::error_code ignored;
    if (!std::filesystem::is_directory(place, ignored)) return "text_file";
    return is_image_folder(place) ? "image_folder" : "text_folder";
}

/// A path as the map that it is short for, also where it came over a map as its type; everything else as it
/// is.
Config expanded(const Config& given) {
    const Config* type = given.kind == Config::Kind::map ? given.find("type") : &given;
    if (type == nullptr || !is_path(*type)) return given;
    const Config place = *type;
    Config map = given.kind == Config::Kind::map ? given : Config::map();
    map.origin = given.origin;
    for (const auto& [key, value] :
         {std::pair("type", reader_of(place.text)), std::pair("path", place.text)}) {
        Config::Entry& entry = map.entry(key);
        entry.origin = place.origin;
        entry.value = Config::string(value);
        entry.value.origin = place.origin;
    }
    return map;
}

}  // namespace

void DatasetChoice::decode(const Config& given, Problems& problems) {
    Choice::decode(expanded(given), problems);
}

DatasetChoice DatasetChoice::parse(std::string_view yaml) {
    Problems problems;
    DatasetChoice choice;
    if (const auto config = parse_config(yaml, {std::string(yaml), 0, 0}, problems))
        choice.decode(*config, problems);
    problems.throw_if_any();
    return choice;
}

void DatasetSlot::decode(const Config& given, const Range& /*range*/, Problems& problems) {
    dataset_.decode(given, problems);
}

}  // namespace jlcm
