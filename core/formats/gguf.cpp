#include "core/formats/gguf.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>
#include <type_traits>

namespace jlcm {
namespace {

constexpr std::string_view magic = "GGUF";
constexpr std::uint32_t default_alignment = 32;
constexpr std::uint32_t largest_alignment = 1U << 20;
constexpr std::uint32_t largest_rank = 4;

struct GgmlType {
    std::uint32_t number;
    std::string_view name;
    int encoding;  ///< of Encoding, -1 where jlcm can't read it
};

constexpr int readable(Encoding encoding) {
    return static_cast<int>(encoding);
}

/// ggml.h, enum ggml_type.
constexpr std::array ggml_types{
    GgmlType{0, "F32", readable(Encoding::f32)},
    GgmlType{1, "F16", readable(Encoding::f16)},
    GgmlType{2, "Q4_0", readable(Encoding::q4_0)},
    GgmlType{3, "Q4_1", readable(Encoding::q4_1)},
    GgmlType{6, "Q5_0", readable(Encoding::q5_0)},
    GgmlType{7, "Q5_1", readable(Encoding::q5_1)},
    GgmlType{8, "Q8_0", readable(Encoding::q8_0)},
    GgmlType{9, "Q8_1", -1},
    GgmlType{10, "Q2_K", readable(Encoding::q2_k)},
    GgmlType{11, "Q3_K", readable(Encoding::q3_k)},
    GgmlType{12, "Q4_K", readable(Encoding::q4_k)},
    GgmlType{13, "Q5_K", readable(Encoding::q5_k)},
    GgmlType{14, "Q6_K", readable(Encoding::q6_k)},
    GgmlType{15, "Q8_K", -1},
    GgmlType{16, "IQ2_XXS", -1},
    GgmlType{17, "IQ2_XS", -1},
    GgmlType{18, "IQ3_XXS", -1},
    GgmlType{19, "IQ1_S", -1},
    GgmlType{20, "IQ4_NL", -1},
    GgmlType{21, "IQ3_S", -1},
    GgmlType{22, "IQ2_S", -1},
    GgmlType{23, "IQ4_XS", -1},
    GgmlType{24, "I8", -1},
    GgmlType{25, "I16", -1},
    GgmlType{26, "I32", readable(Encoding::i32)},
    GgmlType{27, "I64", -1},
    GgmlType{28, "F64", -1},
    GgmlType{29, "IQ1_M", -1},
    GgmlType{30, "BF16", readable(Encoding::bf16)},
    GgmlType{34, "TQ1_0", -1},
    GgmlType{35, "TQ2_0", -1},
    GgmlType{39, "MXFP4", -1},
};

Encoding encoding_of(std::uint32_t number, const std::string& tensor) {
    const auto found = std::find_if(ggml_types.begin(), ggml_types.end(),
                                    [&](const GgmlType& type) { return type.number == number; });
    require(found != ggml_types.end(), "tensor '{}' has the unknown type number {}", tensor, number);
    require(
        found->encoding >= 0,
        "tensor '{}' has the type {} (number {}), which cannot be read; take a file of another quantisation",
        tensor, found->name, number);
    return static_cast<Encoding>(found->encoding);
}

std::uint32_t ggml_number(const TensorInfo& tensor) {
    for (const auto& type : ggml_types)
        if (type.encoding == static_cast<int>(tensor.encoding)) return type.number;
    fail("tensor '{}': GGUF has no type for {}", tensor.name, name_of(tensor.encoding));
}

/// Well-formed UTF-8: Unicode standard, table 3-7.
bool is_utf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        const unsigned first = byte(i);
        std::size_t follow = 0;
        unsigned lowest = 0x80;
        unsigned highest = 0xBF;
        if (first >= 0xC2 && first <= 0xDF) {
            follow = 1;
        } else if (first >= 0xE0 && first <= 0xEF) {
            follow = 2;
            if (first == 0xE0) lowest = 0xA0;
            if (first == 0xED) highest = 0x9F;
        } else if (first >= 0xF0 && first <= 0xF4) {
            follow = 3;
            if (first == 0xF0) lowest = 0x90;
            if (first == 0xF4) highest = 0x8F;
        } else if (first >= 0x80) {
            return false;
        }
        if (follow >= text.size() - i) return false;
        for (std::size_t k = 1; k <= follow; ++k) {
            if (byte(i + k) < lowest || byte(i + k) > highest) return false;
            lowest = 0x80;
            highest = 0xBF;
        }
        i += follow + 1;
    }
    return true;
}

/// Reads forward through the bytes; what isn't there is an error that says where the file ends.
class Cursor {
  public:
    explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

    [[nodiscard]] std::uint64_t position() const { return position_; }
    [[nodiscard]] std::uint64_t left() const { return bytes_.size() - position_; }

    template <class T>
    T number(std::string_view what) {
        static_assert(std::is_trivially_copyable_v<T>);
        const auto raw = take(sizeof(T), what);
        T value{};
        std::memcpy(&value, raw.data(), sizeof(T));
        return value;
    }

    std::string string(std::string_view what) {
        const auto length = number<std::uint64_t>(what);
        const auto raw = take(length, what);
        std::string text(raw.size(), '\0');
        if (!raw.empty()) std::memcpy(text.data(), raw.data(), raw.size());
        require(is_utf8(text), "{} at offset {} is not valid UTF-8", what, position_ - text.size());
        return text;
    }

    /// A number of items that take at least `item_bytes` each.
    std::uint64_t count(std::string_view what, std::uint64_t item_bytes) {
        const auto value = number<std::uint64_t>(what);
        require(value <= left() / item_bytes,
                "{} is {}, but only {} bytes follow: the file is damaged or truncated", what, value, left());
        return value;
    }

  private:
    std::span<const std::byte> take(std::uint64_t length, std::string_view what) {
        require(length <= left(),
                "{} needs {} bytes at offset {}, but the file ends after {}: damaged or truncated", what,
                length, position_, left());
        const auto raw = bytes_.subspan(position_, length);
        position_ += length;
        return raw;
    }

    std::span<const std::byte> bytes_;
    std::uint64_t position_ = 0;
};

/// Bytes of the smallest value of a type; 0 for a type that doesn't exist.
std::uint64_t smallest_size(GgufType type) {
    switch (type) {
        case GgufType::u8:
        case GgufType::i8:
        case GgufType::boolean:
            return 1;
        case GgufType::u16:
        case GgufType::i16:
            return 2;
        case GgufType::u32:
        case GgufType::i32:
        case GgufType::f32:
            return 4;
        case GgufType::string:
        case GgufType::u64:
        case GgufType::i64:
        case GgufType::f64:
            return 8;
        case GgufType::array:
            return 12;
    }
    return 0;
}

nlohmann::json read_scalar(Cursor& cursor, GgufType type, const std::string& key) {
    switch (type) {
        case GgufType::u8:
            return cursor.number<std::uint8_t>(key);
        case GgufType::i8:
            return cursor.number<std::int8_t>(key);
        case GgufType::u16:
            return cursor.number<std::uint16_t>(key);
        case GgufType::i16:
            return cursor.number<std::int16_t>(key);
        case GgufType::u32:
            return cursor.number<std::uint32_t>(key);
        case GgufType::i32:
            return cursor.number<std::int32_t>(key);
        case GgufType::f32:
            return cursor.number<float>(key);
        case GgufType::u64:
            return cursor.number<std::uint64_t>(key);
        case GgufType::i64:
            return cursor.number<std::int64_t>(key);
        case GgufType::f64:
            return cursor.number<double>(key);
        case GgufType::string:
            return cursor.string(key);
        case GgufType::boolean: {
            const auto value = cursor.number<std::uint8_t>(key);
            require(value <= 1, "metadata '{}': {} is not a boolean", key, value);
            return value == 1;
        }
        case GgufType::array:
            break;
    }
    fail("metadata '{}': type number {} is not understood here", key, static_cast<std::uint32_t>(type));
}

GgufValue read_value(Cursor& cursor, const std::string& key) {
    GgufValue result;
    result.type = static_cast<GgufType>(cursor.number<std::uint32_t>(key));
    if (result.type != GgufType::array) {
        result.value = read_scalar(cursor, result.type, key);
        return result;
    }
    result.element = static_cast<GgufType>(cursor.number<std::uint32_t>(key));
    const std::uint64_t size = smallest_size(result.element);
    require(size > 0 && result.element != GgufType::array,
            "metadata '{}': an array of elements of type number {} cannot be read", key,
            static_cast<std::uint32_t>(result.element));
    const std::uint64_t count = cursor.count("the length of '" + key + "'", size);
    result.value = nlohmann::json::array();
    auto& items = result.value.get_ref<nlohmann::json::array_t&>();
    items.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) items.push_back(read_scalar(cursor, result.element, key));
    return result;
}

void check_header(Cursor& cursor, Gguf& gguf) {
    std::array<char, 4> found{};
    for (char& letter : found) letter = cursor.number<char>("the file's mark");
    require(std::string_view(found.data(), found.size()) == magic,
            "not a GGUF file: it does not start with 'GGUF'");
    gguf.version = cursor.number<std::uint32_t>("the version");
    require(gguf.version != 0x02000000U && gguf.version != 0x03000000U,
            "a big-endian GGUF file cannot be read; convert the model anew");
    require(gguf.version == 2 || gguf.version == 3,
            "GGUF version {} cannot be read, only 2 and 3; convert the model anew", gguf.version);
}

std::uint64_t alignment_of(const Gguf& gguf) {
    const auto found = gguf.metadata.find("general.alignment");
    if (found == gguf.metadata.end()) return default_alignment;
    require(found->second.type == GgufType::u32, "general.alignment is not a uint32");
    const auto value = found->second.value.get<std::uint32_t>();
    require(std::has_single_bit(value) && value <= largest_alignment,
            "general.alignment is {}: expected a power of two up to {}", value, largest_alignment);
    return value;
}

struct Placed {
    StoredTensor tensor;
    std::uint64_t offset = 0;  ///< from the start of the data
    std::uint64_t size = 0;
};

Placed read_tensor_info(Cursor& cursor) {
    Placed placed;
    StoredTensor& tensor = placed.tensor;
    tensor.name = cursor.string("a tensor's name");
    require(!tensor.name.empty(), "a tensor has no name");
    const auto rank = cursor.number<std::uint32_t>("the rank of '" + tensor.name + "'");
    require(rank >= 1 && rank <= largest_rank, "tensor '{}' has {} dimensions: expected 1 to {}", tensor.name,
            rank, largest_rank);
    for (std::uint32_t i = 0; i < rank; ++i) {
        const auto length = cursor.number<std::int64_t>("the shape of '" + tensor.name + "'");
        require(length > 0, "tensor '{}': a dimension is {}", tensor.name, length);
        tensor.shape.insert(tensor.shape.begin(), length);
    }
    tensor.encoding =
        encoding_of(cursor.number<std::uint32_t>("the type of '" + tensor.name + "'"), tensor.name);
    placed.offset = cursor.number<std::uint64_t>("the offset of '" + tensor.name + "'");
    try {
        placed.size = encoded_bytes(tensor.encoding, tensor.shape);
    } catch (const Error& error) {
        throw error.within("tensor '" + tensor.name + "'");
    }
    return placed;
}

void check_overlap(const std::vector<Placed>& placed) {
    std::vector<const Placed*> by_offset;
    for (const auto& one : placed) by_offset.push_back(&one);
    std::sort(by_offset.begin(), by_offset.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
    for (std::size_t i = 1; i < by_offset.size(); ++i) {
        const Placed& before = *by_offset[i - 1];
        require(before.offset + before.size <= by_offset[i]->offset, "tensors '{}' and '{}' overlap",
                before.tensor.name, by_offset[i]->tensor.name);
    }
}

class HeaderWriter {
  public:
    template <class T>
    void number(T value) {
        std::array<char, sizeof(T)> raw{};
        std::memcpy(raw.data(), &value, sizeof(T));
        text_.append(raw.data(), raw.size());
    }
    void string(const std::string& text) {
        number<std::uint64_t>(text.size());
        text_ += text;
    }
    void raw(std::string_view text) { text_ += text; }

    void scalar(GgufType type, const nlohmann::json& value) {
        switch (type) {
            case GgufType::u8:
                return number(value.get<std::uint8_t>());
            case GgufType::i8:
                return number(value.get<std::int8_t>());
            case GgufType::u16:
                return number(value.get<std::uint16_t>());
            case GgufType::i16:
                return number(value.get<std::int16_t>());
            case GgufType::u32:
                return number(value.get<std::uint32_t>());
            case GgufType::i32:
                return number(value.get<std::int32_t>());
            case GgufType::f32:
                return number(value.get<float>());
            case GgufType::u64:
                return number(value.get<std::uint64_t>());
            case GgufType::i64:
                return number(value.get<std::int64_t>());
            case GgufType::f64:
                return number(value.get<double>());
            case GgufType::boolean:
                return number<std::uint8_t>(value.get<bool>() ? 1 : 0);
            case GgufType::string:
                return string(value.get_ref<const std::string&>());
            case GgufType::array:
                break;
        }
        ensure(false, "a nested GGUF array");
    }

    [[nodiscard]] const std::string& text() const { return text_; }

  private:
    std::string text_;
};

}  // namespace

Gguf parse_gguf(std::span<const std::byte> bytes) {
    Gguf gguf;
    Cursor cursor(bytes);
    check_header(cursor, gguf);
    constexpr std::uint64_t smallest_tensor_info = 8 + 4 + 8 + 4 + 8;
    constexpr std::uint64_t smallest_entry = 8 + 4 + 1;
    const auto tensor_count = cursor.count("the number of tensors", smallest_tensor_info);
    const auto entry_count = cursor.count("the number of metadata entries", smallest_entry);
    for (std::uint64_t i = 0; i < entry_count; ++i) {
        const std::string key = cursor.string("a metadata key");
        require(!key.empty(), "a metadata key is empty");
        GgufValue value = read_value(cursor, key);
        require(gguf.metadata.emplace(key, std::move(value)).second, "the metadata key '{}' appears twice",
                key);
    }

    std::vector<Placed> placed;
    std::set<std::string> names;
    for (std::uint64_t i = 0; i < tensor_count; ++i) {
        placed.push_back(read_tensor_info(cursor));
        require(names.insert(placed.back().tensor.name).second, "the tensor '{}' appears twice",
                placed.back().tensor.name);
    }

    const std::uint64_t alignment = alignment_of(gguf);
    const std::uint64_t start = (cursor.position() + alignment - 1) / alignment * alignment;
    for (auto& one : placed) {
        const std::string& name = one.tensor.name;
        require(one.offset % alignment == 0, "tensor '{}' lies at {}, not a multiple of {}", name, one.offset,
                alignment);
        require(start <= bytes.size() && one.offset <= bytes.size() - start &&
                    one.size <= bytes.size() - start - one.offset,
                "tensor '{}' ({} bytes at {}) reaches beyond the end of the file: damaged or truncated", name,
                one.size, one.offset);
        one.tensor.bytes = bytes.subspan(start + one.offset, one.size);
    }
    check_overlap(placed);
    for (auto& one : placed) gguf.tensors.push_back(std::move(one.tensor));
    return gguf;
}

TensorFileWriter begin_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                            std::vector<TensorInfo> tensors) {
    HeaderWriter header;
    header.raw(magic);
    header.number<std::uint32_t>(3);
    header.number<std::uint64_t>(tensors.size());
    header.number<std::uint64_t>(metadata.size());
    for (const auto& [key, value] : metadata) {
        header.string(key);
        header.number(static_cast<std::uint32_t>(value.type));
        if (value.type != GgufType::array) {
            header.scalar(value.type, value.value);
            continue;
        }
        header.number(static_cast<std::uint32_t>(value.element));
        header.number<std::uint64_t>(value.value.size());
        for (const auto& item : value.value) header.scalar(value.element, item);
    }
    std::uint64_t offset = 0;
    for (const auto& tensor : tensors) {
        header.string(tensor.name);
        header.number(static_cast<std::uint32_t>(tensor.shape.size()));
        for (auto length = tensor.shape.rbegin(); length != tensor.shape.rend(); ++length)
            header.number<std::int64_t>(*length);
        header.number(ggml_number(tensor));
        header.number<std::uint64_t>(offset);
        const std::uint64_t end = offset + encoded_bytes(tensor.encoding, tensor.shape);
        offset = (end + default_alignment - 1) / default_alignment * default_alignment;
    }
    return {path, header.text(), std::move(tensors), default_alignment};
}

}  // namespace jlcm
