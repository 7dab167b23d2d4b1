#include "core/report/printable.hpp"

#include "core/text/utf8.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace jlcm {
namespace {

bool is_control(char32_t c) {
    const bool changes_direction = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || changes_direction;
}

std::string name_of_control(char32_t c) {
    if (c == '\n') return "\\n";
    if (c == '\t') return "\\t";
    if (c == '\r') return "\\r";
    const auto code = static_cast<std::uint32_t>(c);
    return code < 0x100 ? fmt::format("\\x{:02x}", code) : fmt::format("\\u{:04x}", code);
}

bool is_letter(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

bool is_punctuation(char c) {
    return std::ispunct(static_cast<unsigned char>(c)) != 0;
}

/// Whether `text` begins with "&name;" or "&#number;".
bool begins_entity(std::string_view text) {
    const std::size_t end = text.find(';');
    return end != std::string_view::npos && end > 1 &&
           std::ranges::all_of(text.substr(1, end - 1), [](char c) {
               return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '#';
           });
}

}  // namespace

std::string printable(const std::string& text) {
    const std::string valid = valid_utf8(text);
    std::string result;
    for (std::size_t at = 0; at < valid.size();) {
        const std::size_t length = utf8_length(valid[at]);
        const std::string_view character = std::string_view(valid).substr(at, length);
        const char32_t code = first_code_point(character);
        result += is_control(code) ? name_of_control(code) : std::string(character);
        at += length;
    }
    return result;
}

std::string markdown_text(const std::string& text) {
    const std::string line = printable(text);
    std::string result;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        const char next = i + 1 < line.size() ? line[i + 1] : ' ';
        const bool is_tag = c == '<' && (is_letter(next) || next == '/' || next == '!' || next == '?');
        const bool is_entity = c == '&' && begins_entity(std::string_view(line).substr(i));
        if (c == '|' || is_tag || is_entity || (c == '\\' && is_punctuation(next))) result += '\\';
        result += c;
    }
    return result;
}

}  // namespace jlcm
