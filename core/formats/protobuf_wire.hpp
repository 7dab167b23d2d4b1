#pragma once
// Protocol buffers' wire format, as far as it takes to change parts of a message and keep all others as they are.
// https://protobuf.dev/programming-guides/encoding

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jlcm {

/// A field of a message.
struct WireField {
    std::uint32_t number = 0;
    std::uint64_t integer = 0;   ///< of a varint
    std::string_view content{};  ///< of a field of some length: a text or a message
    std::string_view whole{};    ///< tag and value as they stand
    bool has_length = false;
};

/// The fields of a message one after the other.
class WireReader {
  public:
    explicit WireReader(std::string_view message) : rest_(message) {}
    /// Nothing at the end; an input error where the message is damaged.
    [[nodiscard]] std::optional<WireField> next();

  private:
    [[nodiscard]] std::uint64_t varint();
    std::string_view rest_;
};

/// Calls `visit` for the fields of a message.
template <class Visit>
void for_each_field(std::string_view message, Visit visit) {
    WireReader reader(message);
    while (true) {
        const auto field = reader.next();
        if (!field) return;
        visit(*field);
    }
}

/// Appends fields to a message.
class WireWriter {
  public:
    void integer(std::uint32_t number, std::uint64_t value);
    void text(std::uint32_t number, std::string_view content);
    void append(std::string_view fields) { message_ += fields; }
    [[nodiscard]] std::string& message() { return message_; }

  private:
    void varint(std::uint64_t value);
    std::string message_;
};

}  // namespace jlcm
