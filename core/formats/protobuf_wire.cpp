#include "core/formats/protobuf_wire.hpp"

#include "core/base/error.hpp"

namespace jlcm {
namespace {

constexpr std::uint32_t varint_type = 0;
constexpr std::uint32_t eight_bytes_type = 1;
constexpr std::uint32_t length_type = 2;
constexpr std::uint32_t four_bytes_type = 5;

}  // namespace

std::uint64_t WireReader::varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        require(!rest_.empty(), "the message ends within a number");
        const auto byte = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        value |= static_cast<std::uint64_t>(byte & 0x7FU) << static_cast<unsigned>(shift);
        if ((byte & 0x80U) == 0) return value;
    }
    fail("a number of the message is too long");
}

std::optional<WireField> WireReader::next() {
    if (rest_.empty()) return std::nullopt;
    const std::string_view begin = rest_;
    const std::uint64_t tag = varint();
    WireField field;
    field.number = static_cast<std::uint32_t>(tag >> 3U);
    const auto take = [&](std::uint64_t count) {
        require(count <= rest_.size(), "a field of the message is longer than the message");
        const std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    };
    switch (tag & 7U) {
        case varint_type:
            field.integer = varint();
            break;
        case eight_bytes_type:
            (void)take(8);
            break;
        case length_type:
            field.content = take(varint());
            field.has_length = true;
            break;
        case four_bytes_type:
            (void)take(4);
            break;
        default:
            fail("a field of the message is of an unknown kind");
    }
    field.whole = begin.substr(0, begin.size() - rest_.size());
    return field;
}

void WireWriter::varint(std::uint64_t value) {
    while (value >= 0x80U) {
        message_ += static_cast<char>(value | 0x80U);
        value >>= 7U;
    }
    message_ += static_cast<char>(value);
}

void WireWriter::integer(std::uint32_t number, std::uint64_t value) {
    varint(std::uint64_t{number} << 3U | varint_type);
    varint(value);
}

void WireWriter::text(std::uint32_t number, std::string_view content) {
    varint(std::uint64_t{number} << 3U | length_type);
    varint(content.size());
    message_ += content;
}

}  // namespace jlcm
