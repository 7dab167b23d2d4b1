#include "core/formats/numpy.hpp"

#include "core/base/error.hpp"
#include "core/base/half.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/ranges.h>
#include <zlib.h>

namespace jlcm {
namespace {

using Bytes = std::span<const std::byte>;
constexpr std::string_view magic = "\x93NUMPY";

std::string_view text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // NOLINT: bytes as text
}

template <class T>
T number_at(Bytes bytes, std::size_t at, const char* what) {
    require(at <= bytes.size() && sizeof(T) <= bytes.size() - at, "the file ends within {}", what);
    T value{};
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

/// What stands behind `'key':` in the header, a Python dictionary, up to the next key.
std::string_view entry(std::string_view header, std::string_view key) {
    const auto at = header.find(fmt::format("'{}'", key));
    require(at != std::string_view::npos, "the header lacks '{}'", key);
    const auto colon = header.find(':', at);
    require(colon != std::string_view::npos, "the header is damaged behind '{}'", key);
    std::string_view rest = header.substr(colon + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    return rest;
}

Shape shape_of(std::string_view header) {
    std::string_view list = entry(header, "shape");
    const auto end = list.find(')');
    require(list.starts_with('(') && end != std::string_view::npos, "the shape of the header is damaged");
    list = list.substr(1, end - 1);
    Shape shape;
    std::int64_t size = -1;
    double count = 1;
    for (const char c : std::string(list) + ",") {
        if (c >= '0' && c <= '9') {
            size = std::max<std::int64_t>(size, 0) * 10 + (c - '0');
            require(size <= std::int64_t{1} << 40, "a dimension of the header is too large");
        } else if (c == ',') {
            if (size >= 0) shape.push_back(size);
            if (size >= 0) count *= static_cast<double>(size);
            size = -1;
        } else {
            require(c == ' ' || c == 'L', "the shape of the header is damaged");
        }
    }
    require(shape.size() <= 32 && count < 9e18, "a shape of {} dimensions", shape.size());
    return shape;
}

template <class Stored, class Convert>
void read_values(Bytes data, Tensor& array, Convert convert) {
    require(data.size() >= static_cast<std::size_t>(array.size()) * sizeof(Stored),
            "{} bytes of data for shape {}", data.size(), to_string(array.shape()));
    for (std::int64_t i = 0; i < array.size(); ++i) {
        Stored value{};
        std::memcpy(&value, data.data() + static_cast<std::size_t>(i) * sizeof value, sizeof value);
        array.data<float>()[i] = convert(value);
    }
}

void read_values(std::string_view type, Bytes data, Tensor& array) {
    const auto plain = [&]<class Stored>(Stored) {
        read_values<Stored>(data, array, [](Stored value) { return static_cast<float>(value); });
    };
    if (type == "<f4") return plain(float{});
    if (type == "<f8") return plain(double{});
    if (type == "<f2")
        return read_values<std::uint16_t>(data, array, [](std::uint16_t v) { return float_from_f16(v); });
    if (type == "|u1" || type == "|b1") return plain(std::uint8_t{});
    if (type == "|i1") return plain(std::int8_t{});
    if (type == "<u2") return plain(std::uint16_t{});
    if (type == "<i2") return plain(std::int16_t{});
    if (type == "<u4") return plain(std::uint32_t{});
    if (type == "<i4") return plain(std::int32_t{});
    if (type == "<u8") return plain(std::uint64_t{});
    if (type == "<i8") return plain(std::int64_t{});
    fail("elements of type '{}'; numbers, integers and truth values, little-endian, are read", type);
}

/// The elements of an array that lies column by column, row by row.
Tensor row_major(const Tensor& array) {
    const Shape& shape = array.shape();
    Tensor result = Tensor::empty(shape);
    std::vector<std::int64_t> position(shape.size(), 0);
    for (std::int64_t i = 0; i < array.size(); ++i) {
        std::int64_t at = 0;
        std::int64_t step = 1;
        for (std::size_t d = 0; d < shape.size(); ++d) {
            at += position[d] * step;
            step *= shape[d];
        }
        result.data<float>()[i] = array.data<float>()[at];
        for (std::size_t d = shape.size(); d-- > 0;) {
            if (++position[d] < shape[d]) break;
            position[d] = 0;
        }
    }
    return result;
}

std::vector<std::byte> inflated(Bytes packed, std::size_t size) {
    std::vector<std::byte> result(size);
    z_stream stream{};
    require(inflateInit2(&stream, -MAX_WBITS) == Z_OK, "the archive cannot be unpacked");
    stream.next_in =
        reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));  // NOLINT: zlib's interface
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(result.data());  // NOLINT: zlib's interface
    stream.avail_out = static_cast<uInt>(result.size());
    const int code = inflate(&stream, Z_FINISH);
    const bool is_whole = code == Z_STREAM_END && stream.total_out == size;
    inflateEnd(&stream);
    require(is_whole, "a file of the archive is damaged");
    return result;
}

template <class T>
void put(std::string& bytes, T value) {
    std::array<char, sizeof value> raw{};
    std::memcpy(raw.data(), &value, sizeof value);
    bytes.append(raw.data(), raw.size());
}

}  // namespace

Tensor parse_npy(Bytes bytes, std::int64_t limit) {
    require(text(bytes).starts_with(magic), "this is no .npy file");
    const auto version = number_at<std::uint8_t>(bytes, magic.size(), "its header");
    require(version >= 1 && version <= 3, "version {} of .npy is not known", version);
    const std::size_t begin = magic.size() + 2 + (version == 1 ? 2 : 4);
    const std::size_t length = version == 1 ? number_at<std::uint16_t>(bytes, magic.size() + 2, "its header")
                                            : number_at<std::uint32_t>(bytes, magic.size() + 2, "its header");
    require(begin <= bytes.size() && length <= bytes.size() - begin, "the file ends within its header");
    const std::string_view header = text(bytes).substr(begin, length);
    std::string_view type = entry(header, "descr");
    const auto end = type.find('\'', 1);
    require(type.starts_with('\'') && end != std::string_view::npos,
            "arrays of several fields are not supported");
    type = type.substr(1, end - 1);
    const Shape shape = shape_of(header);
    // What the file has bytes for bounds what is made of it.
    require(element_count(shape) <= limit && static_cast<std::uint64_t>(element_count(shape)) <= bytes.size(),
            "shape {} is too large for a file of {} bytes", to_string(shape), bytes.size());
    Tensor array = Tensor::empty(shape);
    read_values(type, bytes.subspan(begin + length), array);
    return entry(header, "fortran_order").starts_with("True") ? row_major(array) : array;
}

std::vector<std::pair<std::string, Tensor>> parse_npz(Bytes bytes, std::int64_t limit) {
    constexpr std::uint32_t end_signature = 0x06054b50;
    constexpr std::uint32_t entry_signature = 0x02014b50;
    constexpr std::size_t end_size = 22;
    constexpr std::size_t entry_size = 46;
    constexpr std::size_t local_size = 30;
    require(bytes.size() >= end_size, "this is no .npz file");
    std::size_t end = bytes.size() - end_size;
    while (number_at<std::uint32_t>(bytes, end, "the archive") != end_signature) {
        require(end > 0 && bytes.size() - end < 66000, "this is no .npz file, or it is cut short");
        --end;
    }
    const auto count = number_at<std::uint16_t>(bytes, end + 10, "the archive");
    std::size_t at = number_at<std::uint32_t>(bytes, end + 16, "the archive");
    std::vector<std::pair<std::string, Tensor>> arrays;
    for (std::uint16_t i = 0; i < count; ++i) {
        require(number_at<std::uint32_t>(bytes, at, "its list") == entry_signature,
                "the archive's list is damaged");
        const auto method = number_at<std::uint16_t>(bytes, at + 10, "its list");
        const std::size_t packed = number_at<std::uint32_t>(bytes, at + 20, "its list");
        const std::size_t size = number_at<std::uint32_t>(bytes, at + 24, "its list");
        const auto name_size = number_at<std::uint16_t>(bytes, at + 28, "its list");
        const auto extra_size = number_at<std::uint16_t>(bytes, at + 30, "its list");
        const auto comment_size = number_at<std::uint16_t>(bytes, at + 32, "its list");
        const std::size_t local = number_at<std::uint32_t>(bytes, at + 42, "its list");
        require(at + entry_size + name_size <= bytes.size(), "the archive's list is damaged");
        std::string name(text(bytes).substr(at + entry_size, name_size));
        const std::size_t data = local + local_size +
                                 number_at<std::uint16_t>(bytes, local + 26, "the archive") +
                                 number_at<std::uint16_t>(bytes, local + 28, "the archive");
        require(data <= bytes.size() && packed <= bytes.size() - data,
                "the archive ends within '{}' (arrays beyond 4 GB are not read)", name);
        require(method == 0 || method == 8, "'{}' is packed in a way that is not known ({})", name, method);
        // deflate makes at most 1032 bytes of one.
        require(size <= packed * 1040 + 64 && (method != 0 || size == packed), "the size of '{}' is damaged",
                name);
        try {
            if (method == 0)
                arrays.emplace_back(name, parse_npy(bytes.subspan(data, size), limit));
            else
                arrays.emplace_back(name, parse_npy(inflated(bytes.subspan(data, packed), size), limit));
        } catch (const Error& error) {
            throw error.within(name);
        }
        std::string& kept = arrays.back().first;
        if (kept.ends_with(".npy")) kept.resize(kept.size() - 4);
        at += entry_size + name_size + extra_size + comment_size;
    }
    return arrays;
}

std::string npy_of(const Tensor& array) {
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{}), }}",
                                     fmt::join(array.shape(), ", "), array.shape().size() == 1 ? "," : "");
    // The data begin at a multiple of 64.
    header.resize((header.size() + magic.size() + 5 + 63) / 64 * 64 - magic.size() - 4 - 1, ' ');
    header += '\n';
    std::string bytes(magic);
    bytes += "\x01";
    bytes += '\0';
    put(bytes, static_cast<std::uint16_t>(header.size()));
    bytes += header;
    const auto data = array.bytes();
    bytes += text(data);
    return bytes;
}

std::string npz_of(const std::vector<std::pair<std::string, Tensor>>& arrays) {
    std::string archive;
    std::string list;
    for (const auto& [key, array] : arrays) {
        const std::string name = key + ".npy";
        const std::string content = npy_of(array);
        require(content.size() < std::size_t{1} << 32 && archive.size() < std::size_t{1} << 32,
                "the arrays take more than 4 GB");
        const auto checksum = static_cast<std::uint32_t>(crc32_z(
            0, reinterpret_cast<const Bytef*>(content.data()), content.size()));  // NOLINT: zlib's interface
        std::string common;
        put(common, std::uint16_t{20});  // version to unpack it
        put(common, std::uint16_t{0});   // flags
        put(common, std::uint16_t{0});   // stored
        put(common, std::uint16_t{0});   // time
        put(common, std::uint16_t{33});  // date: 1980-01-01
        put(common, checksum);
        put(common, static_cast<std::uint32_t>(content.size()));
        put(common, static_cast<std::uint32_t>(content.size()));
        put(common, static_cast<std::uint16_t>(name.size()));
        put(common, std::uint16_t{0});  // extra
        put(list, std::uint32_t{0x02014b50});
        put(list, std::uint16_t{20});
        list += common;
        put(list, std::uint16_t{0});  // comment
        put(list, std::uint16_t{0});  // disk
        put(list, std::uint16_t{0});  // attributes
        put(list, std::uint32_t{0});
        put(list, static_cast<std::uint32_t>(archive.size()));
        list += name;
        put(archive, std::uint32_t{0x04034b50});
        archive += common;
        archive += name;
        archive += content;
    }
    std::string end;
    put(end, std::uint32_t{0x06054b50});
    put(end, std::uint32_t{0});
    put(end, static_cast<std::uint16_t>(arrays.size()));
    put(end, static_cast<std::uint16_t>(arrays.size()));
    put(end, static_cast<std::uint32_t>(list.size()));
    put(end, static_cast<std::uint32_t>(archive.size()));
    put(end, std::uint16_t{0});
    return archive + list + end;
}

}  // namespace jlcm
