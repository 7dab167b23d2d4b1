#include "core/data/text_source.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"

#include <charconv>

namespace jlcm {

namespace {

std::vector<std::string_view> cut(std::string_view text, std::string_view delimiter) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t end = delimiter.empty() ? std::string_view::npos : text.find(delimiter);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + delimiter.size());
    }
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view white_space = " \t\r\n\f\v";
    const std::size_t begin = text.find_first_not_of(white_space);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(white_space) - begin + 1);
}

bool is_held_out(std::string_view document, double share) {
    const std::string digits = sha256(document).substr(0, 8);
    std::uint32_t bits = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), bits, 16);
    return static_cast<double>(bits) / 4294967296.0 < share;
}

}  // namespace

std::vector<std::string> split_documents(std::vector<std::string> documents, const SplitOptions& split) {
    if (split.split == Split::all) return documents;
    const bool wanted = split.split == Split::held_out;
    std::erase_if(documents,
                  [&](const std::string& text) { return is_held_out(text, split.held_out) != wanted; });
    return documents;
}

std::vector<std::string> cut_documents(std::string_view text, std::string_view delimiter) {
    std::vector<std::string> documents;
    for (const std::string_view part : cut(text, delimiter))
        if (const std::string_view document = trimmed(part); !document.empty())
            documents.emplace_back(document);
    return documents;
}

std::string name_with_split(std::string_view name, const SplitOptions& split) {
    if (split.split == Split::all) return std::string(name);
    const bool is_held_out_part = split.split == Split::held_out;
    return fmt::format("{}, {} {:g} %", name, is_held_out_part ? "held out" : "calibration",
                       100.0 * (is_held_out_part ? split.held_out : 1.0 - split.held_out));
}

bool NamedDataset::is_available(const Directories& directories) const {
    return !find_data_file(std::string(text_.file), directories).empty();
}

Data NamedDataset::load(const Directories& directories) const {
    const auto path = find_data_file(std::string(text_.file), directories);
    if (path.empty()) {
        std::string places;
        for (const auto& directory : directories) places += fmt::format("\n  {}", directory.string());
        fail(
            "the dataset {} needs the file {}, which is in none of these directories (nor in text/ below "
            "them):{}\n"
            "Put it there, or name its directory in the spec's data_path or in JLCM_DATA{}{}",
            text_.name, text_.file, places, text_.advice.empty() ? "" : "; ", text_.advice);
    }
    const std::string text = read_file(path);
    TextData data{.name = name_with_split(text_.name, split_),
                  .documents = {},
                  .sha256 = sha256(text),
                  .source = std::string(text_.source)};
    require(
        data.sha256 == text_.sha256,
        "{} is not the text that {} stands for: its SHA-256 is {}, expected {}. Get it again, or name the "
        "file by its path to use it as it is",
        path.string(), text_.name, data.sha256, text_.sha256);

    if (text_.is_running_text) {
        const auto parts = cut(text, text_.delimiter);
        const auto taken = split_documents({parts.begin(), parts.end()}, split_);
        data.documents = {fmt::format("{}", fmt::join(taken, text_.delimiter))};
    } else {
        data.documents = split_documents(cut_documents(text, text_.delimiter), split_);
    }
    require(!data.documents.empty() && !data.documents.front().empty(), "the part \"{}\" holds no document",
            data.name);
    return data;
}

}  // namespace jlcm
