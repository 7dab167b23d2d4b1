#include "core/formats/onnx_external_data.hpp"

#include "core/base/error.hpp"

#include <charconv>

namespace jlcm {
namespace {

std::uint64_t number(const OnnxExternalData::Entries& entries, const char* key, std::uint64_t otherwise,
                     const std::string& name) {
    const auto found = entries.find(key);
    if (found == entries.end()) return otherwise;
    std::uint64_t value = 0;
    const char* end = found->second.data() + found->second.size();
    const auto [at, error] = std::from_chars(found->second.data(), end, value);
    require(error == std::errc() && at == end, "the tensor '{}': its {} in external data is '{}'", name, key,
            found->second);
    return value;
}

}  // namespace

std::span<const std::byte> OnnxExternalData::bytes_of(const Entries& entries, const std::string& name) {
    const auto said = entries.find("location");
    const std::string location = said == entries.end() ? "" : said->second;
    const std::filesystem::path place = std::filesystem::path(location).lexically_normal();
    require(!place.empty() && !place.is_absolute() && *place.begin() != "..",
            "the tensor '{}' lies in the file '{}', which is not in the model's folder or below it", name,
            location);
    require(!folder_.empty(),
            "the tensor '{}' lies in another file, '{}', and the model is no file of a folder", name,
            location);
    auto found = files_.find(place.string());
    if (found == files_.end()) {
        const std::filesystem::path path = folder_ / place;
        try {
            found = files_.emplace(place.string(), path).first;
        } catch (const Error& error) {
            throw error.within(fmt::format("the tensor '{}' lies in another file", name));
        }
        if (on_file_) on_file_(path);
    }
    const std::span<const std::byte> all = found->second.bytes();
    const std::uint64_t offset = number(entries, "offset", 0, name);
    require(offset <= all.size(), "the tensor '{}' begins at byte {} of '{}', which has {}", name, offset,
            location, all.size());
    const std::uint64_t length = number(entries, "length", all.size() - offset, name);
    require(length <= all.size() - offset, "the tensor '{}' has {} bytes from {} on of '{}', which has {}",
            name, length, offset, location, all.size());
    return all.subspan(offset, length);
}

}  // namespace jlcm
