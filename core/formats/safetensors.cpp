#include "core/formats/safetensors.hpp"

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/formats/json.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <set>
#include <utility>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr std::uint64_t largest_header = 100'000'000;
constexpr std::size_t length_bytes = 8;
constexpr int header_depth = 3;  // header, tensor, shape
constexpr std::string_view metadata_key = "__metadata__";
constexpr std::array known_dtypes{Encoding::f32, Encoding::f16, Encoding::bf16, Encoding::u8, Encoding::i32};

Encoding encoding_of(const std::string& dtype) {
    const auto* const found = std::find_if(known_dtypes.begin(), known_dtypes.end(),
                                           [&](Encoding encoding) { return name_of(encoding) == dtype; });
    require(found != known_dtypes.end(), "dtype '{}' cannot be read; save the model in F32, F16 or BF16",
            dtype);
    return *found;
}

std::uint64_t whole_number(const json& value, const char* what) {
    require(value.is_number_unsigned(), "{} holds {}: expected whole numbers", what, value.dump());
    return value.get<std::uint64_t>();
}

struct Placed {
    StoredTensor tensor;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool is_left_out = false;
};

Placed read_entry(const std::string& name, const json& entry, std::uint64_t data_size, bool is_left_out) {
    require(entry.is_object() && entry.size() == 3 && entry.contains("dtype") && entry.contains("shape") &&
                entry.contains("data_offsets"),
            "expected exactly dtype, shape and data_offsets");
    const json& dtype = entry.at("dtype");
    const json& shape = entry.at("shape");
    const json& offsets = entry.at("data_offsets");
    require(dtype.is_string(), "dtype is not a string");
    require(shape.is_array(), "shape is not an array");
    require(offsets.is_array() && offsets.size() == 2, "data_offsets is not a pair");

    Placed placed;
    placed.tensor.name = name;
    placed.is_left_out = is_left_out;
    if (!is_left_out) placed.tensor.encoding = encoding_of(dtype.get<std::string>());
    for (const auto& length : shape)
        placed.tensor.shape.push_back(static_cast<std::int64_t>(whole_number(length, "shape")));
    placed.begin = whole_number(offsets[0], "data_offsets");
    placed.end = whole_number(offsets[1], "data_offsets");
    require(placed.begin <= placed.end && placed.end <= data_size,
            "data_offsets {} are not within the file's {} bytes of data: damaged or truncated",
            offsets.dump(), data_size);
    if (is_left_out) return placed;
    const auto size = encoded_bytes(placed.tensor.encoding, placed.tensor.shape);
    require(placed.end - placed.begin == size, "{} bytes for shape {} of {}: expected {}",
            placed.end - placed.begin, to_string(placed.tensor.shape), dtype.get<std::string>(), size);
    return placed;
}

std::map<std::string, std::string> read_metadata(const json& entries) {
    require(entries.is_object(), "{} is not an object", metadata_key);
    std::map<std::string, std::string> metadata;
    for (const auto& [key, value] : entries.items()) {
        require(value.is_string(), "{}: the value of '{}' is not a string", metadata_key, key);
        metadata[key] = value.get<std::string>();
    }
    return metadata;
}

}  // namespace

Safetensors parse_safetensors(std::span<const std::byte> bytes,
                              const std::function<bool(const std::string&)>& is_left_out) {
    constexpr std::string_view pointer = "version https://git-lfs";
    require(bytes.size() < pointer.size() || std::memcmp(bytes.data(), pointer.data(), pointer.size()) != 0,
            "a pointer of Git LFS in place of the file: fetch it with 'git lfs pull'");
    require(bytes.size() >= length_bytes, "not a safetensors file: only {} bytes", bytes.size());
    std::uint64_t header_size = 0;
    std::memcpy(&header_size, bytes.data(), length_bytes);
    require(header_size <= largest_header && header_size <= bytes.size() - length_bytes,
            "not a safetensors file, or truncated: a header of {} bytes in a file of {}", header_size,
            bytes.size());
    const std::string header_text(
        reinterpret_cast<const char*>(bytes.data()) + length_bytes,  // NOLINT: bytes to chars
        header_size);
    require(header_text.starts_with('{'), "not a safetensors file: the header does not start with '{{'");
    const json header = parse_json(header_text, header_depth);
    const auto data = bytes.subspan(length_bytes + header_size);

    Safetensors file;
    std::vector<Placed> placed;
    for (const auto& [name, entry] : header.items()) {
        if (name == metadata_key) {
            file.metadata = read_metadata(entry);
            continue;
        }
        try {
            placed.push_back(read_entry(name, entry, data.size(), is_left_out && is_left_out(name)));
        } catch (const Error& error) {
            throw error.within("tensor '" + name + "'");
        }
    }
    std::stable_sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
        return std::pair{a.begin, a.end} < std::pair{b.begin, b.end};
    });
    std::uint64_t end = 0;
    for (auto& one : placed) {
        require(one.begin == end, "tensor '{}' begins at {}, not where the tensor before it ends ({}): {}",
                one.tensor.name, one.begin, end, one.begin < end ? "overlap" : "gap");
        end = one.end;
        if (one.is_left_out) continue;
        one.tensor.bytes = data.subspan(one.begin, one.end - one.begin);
        file.tensors.push_back(std::move(one.tensor));
    }
    require(end == data.size(), "{} bytes follow the last tensor", data.size() - end);
    return file;
}

std::string safetensors_header(const std::map<std::string, std::string>& metadata,
                               const std::vector<TensorInfo>& tensors) {
    auto header = nlohmann::ordered_json::object();
    if (!metadata.empty()) header[std::string(metadata_key)] = metadata;
    std::set<std::string> names{std::string(metadata_key)};
    std::uint64_t offset = 0;
    for (const auto& tensor : tensors) {
        require(names.insert(tensor.name).second, "the tensor name '{}' is taken", tensor.name);
        require(std::find(known_dtypes.begin(), known_dtypes.end(), tensor.encoding) != known_dtypes.end(),
                "tensor '{}': safetensors has no dtype for {}", tensor.name, name_of(tensor.encoding));
        const std::uint64_t end = offset + encoded_bytes(tensor.encoding, tensor.shape);
        header[tensor.name] = {
            {"dtype", name_of(tensor.encoding)}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
        offset = end;
    }
    std::string text = header.dump();
    text.append((length_bytes - text.size() % length_bytes) % length_bytes, ' ');
    require(text.size() <= largest_header, "a safetensors header of {} bytes is too large", text.size());
    const std::uint64_t header_size = text.size();
    std::array<char, length_bytes> prefix{};
    std::memcpy(prefix.data(), &header_size, length_bytes);
    return std::string(prefix.data(), prefix.size()) + text;
}

TensorFileWriter begin_safetensors(const std::filesystem::path& path,
                                   const std::map<std::string, std::string>& metadata,
                                   std::vector<TensorInfo> tensors) {
    std::string header = safetensors_header(metadata, tensors);
    return {path, std::move(header), std::move(tensors), 1};
}

}  // namespace jlcm
