#include "core/text/jinja/python_text.hpp"

#include "core/text/jinja/problem.hpp"
#include "core/text/utf8.hpp"
#include "core/text/white_space.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include <utf8proc.h>

namespace jlcm::jinja::python {
namespace {

utf8proc_category_t category(char32_t point) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(point));
}

bool is_space(std::string_view character) {
    return is_python_space(first_code_point(character));
}

bool is_line_end(char32_t point) {
    return (point >= 0x0A && point <= 0x0D) || (point >= 0x1C && point <= 0x1E) || point == 0x85 ||
           point == 0x2028 || point == 0x2029;
}

/// Whether str.upper() makes several characters of it (Unicode's SpecialCasing.txt).
bool upper_is_long(char32_t p) {
    constexpr std::array<std::pair<char32_t, char32_t>, 14> ranges{{{0xDF, 0xDF},
                                                                    {0x149, 0x149},
                                                                    {0x1F0, 0x1F0},
                                                                    {0x390, 0x390},
                                                                    {0x3B0, 0x3B0},
                                                                    {0x587, 0x587},
                                                                    {0x1E96, 0x1E9A},
                                                                    {0x1F50, 0x1F56},
                                                                    {0x1F80, 0x1FAF},
                                                                    {0x1FB2, 0x1FBC},
                                                                    {0x1FC2, 0x1FD7},
                                                                    {0x1FE2, 0x1FFC},
                                                                    {0xFB00, 0xFB06},
                                                                    {0xFB13, 0xFB17}}};
    return std::ranges::any_of(ranges, [&](const auto& r) { return p >= r.first && p <= r.second; });
}

std::string cased(std::string_view character, bool up) {
    const char32_t point = first_code_point(character);
    // A final sigma and Turkish dots depend on more than the character.
    if (up ? upper_is_long(point) : point == 0x130 || point == 0x3A3)
        refuse("the {} case of '{}' is not implemented", up ? "upper" : "lower", character);
    const auto given = static_cast<utf8proc_int32_t>(point);
    const auto changed = up ? utf8proc_toupper(given) : utf8proc_tolower(given);
    std::string result;
    append_utf8(result, static_cast<std::uint32_t>(changed));
    return result;
}

bool is_cased(char32_t point) {
    const auto kind = category(point);
    return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL || kind == UTF8PROC_CATEGORY_LT;
}

bool is_alpha(char32_t point) {
    const auto kind = category(point);
    return is_cased(point) || kind == UTF8PROC_CATEGORY_LM || kind == UTF8PROC_CATEGORY_LO;
}

bool is_printable(char32_t point) {
    switch (category(point)) {
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_CN:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP:
            return false;
        case UTF8PROC_CATEGORY_ZS:
            return point == ' ';
        default:
            return true;
    }
}

std::vector<std::string> split_at_spaces(std::string_view text, std::int64_t most, Side from) {
    std::vector<std::string> parts;
    while (true) {
        text = strip(text, std::nullopt, from);
        if (text.empty()) break;
        if (most >= 0 && std::ssize(parts) == most) {
            parts.emplace_back(text);
            break;
        }
        const auto all = characters(text);
        if (from == Side::left) {
            const auto end = std::ranges::find_if(all, is_space);
            const std::size_t size =
                end == all.end() ? text.size() : static_cast<std::size_t>(end->data() - text.data());
            parts.emplace_back(text.substr(0, size));
            text.remove_prefix(size);
        } else {
            std::size_t size = 0;
            for (auto each = all.rbegin(); each != all.rend() && !is_space(*each); ++each)
                size += each->size();
            parts.emplace_back(text.substr(text.size() - size));
            text.remove_suffix(size);
        }
    }
    if (from == Side::right) std::ranges::reverse(parts);
    return parts;
}

/// The value of up to `most` digits at the front, which are taken away.
std::uint32_t take_digits(std::string_view& text, std::size_t least, std::size_t most, int base) {
    std::uint32_t value = 0;
    const std::string_view digits = text.substr(0, most);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    const auto size = static_cast<std::size_t>(end - digits.data());
    if (error != std::errc{} || size < least) refuse("an escape in a string lacks digits");
    text.remove_prefix(size);
    return value;
}

}  // namespace

std::vector<std::string_view> characters(std::string_view text) {
    std::vector<std::string_view> result;
    result.reserve(text.size());
    while (!text.empty()) {
        result.push_back(text.substr(0, utf8_length(text.front())));
        text.remove_prefix(result.back().size());
    }
    return result;
}

std::int64_t length(std::string_view text) {
    return std::ranges::count_if(text,
                                 [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
}

std::string_view strip(std::string_view text, std::optional<std::string_view> set, Side side) {
    const auto goes = [&](std::string_view character) {
        if (!set) return is_space(character);
        return std::ranges::count(characters(*set), character) > 0;
    };
    if (side != Side::right)
        while (!text.empty() && goes(text.substr(0, utf8_length(text.front()))))
            text.remove_prefix(utf8_length(text.front()));
    if (side != Side::left)
        while (!text.empty() && goes(last_character(text))) text.remove_suffix(last_character(text).size());
    return text;
}

std::vector<std::string> split(std::string_view text, std::optional<std::string_view> separator,
                               std::int64_t most, Side from) {
    if (!separator) return split_at_spaces(text, most, from);
    if (separator->empty()) refuse("a text cannot be split at an empty separator");
    std::vector<std::string> parts;
    while (most < 0 || std::ssize(parts) < most) {
        const std::size_t at = from == Side::left ? text.find(*separator) : text.rfind(*separator);
        if (at == std::string_view::npos) break;
        if (from == Side::left) {
            parts.emplace_back(text.substr(0, at));
            text.remove_prefix(at + separator->size());
        } else {
            parts.emplace_back(text.substr(at + separator->size()));
            text = text.substr(0, at);
        }
    }
    parts.emplace_back(text);
    if (from == Side::right) std::ranges::reverse(parts);
    return parts;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        std::size_t end = 0;
        while (end < text.size() && !is_line_end(first_code_point(text.substr(end))))
            end += utf8_length(text[end]);
        std::size_t next = end;
        if (end < text.size()) next += text.substr(end).starts_with("\r\n") ? 2 : utf8_length(text[end]);
        lines.emplace_back(text.substr(0, keep_ends ? next : end));
        text.remove_prefix(next);
    }
    return lines;
}

std::string replace(std::string_view text, std::string_view old, std::string_view by, std::int64_t most) {
    std::string result;
    if (old.empty()) {  // Python puts it before every character and behind the last
        std::int64_t left = most < 0 ? std::numeric_limits<std::int64_t>::max() : most;
        for (const std::string_view each : characters(text)) {
            if (left-- > 0) result += by;
            left = std::max<std::int64_t>(left, 0);
            result += each;
        }
        if (left > 0) result += by;
        return result;
    }
    for (std::int64_t done = 0; most < 0 || done < most; ++done) {
        const std::size_t at = text.find(old);
        if (at == std::string_view::npos) break;
        result += text.substr(0, at);
        result += by;
        text.remove_prefix(at + old.size());
    }
    return result += text;
}

std::int64_t find(std::string_view text, std::string_view part, Side from) {
    const std::size_t at = from == Side::left ? text.find(part) : text.rfind(part);
    return at == std::string_view::npos ? -1 : length(text.substr(0, at));
}

std::string upper(std::string_view text) {
    std::string result;
    for (const std::string_view each : characters(text)) result += cased(each, true);
    return result;
}

std::string lower(std::string_view text) {
    std::string result;
    for (const std::string_view each : characters(text)) result += cased(each, false);
    return result;
}

std::string capitalize(std::string_view text) {
    if (text.empty()) return "";
    const std::size_t first = utf8_length(text.front());
    return cased(text.substr(0, first), true) + lower(text.substr(first));
}

std::string title(std::string_view text) {
    std::string result;
    bool inside = false;
    for (const std::string_view each : characters(text)) {
        result += cased(each, !inside);
        inside = is_cased(first_code_point(each));
    }
    return result;
}

bool is_all(std::string_view text, std::string_view what) {
    const auto all = characters(text);
    const auto each = [&](const auto& holds) {
        return !all.empty() && std::ranges::all_of(all, [&](auto c) { return holds(first_code_point(c)); });
    };
    if (what == "space") return each(is_python_space);
    if (what == "alpha") return each(is_alpha);
    // Superscripts and other scripts' digits: Python knows what they are worth, utf8proc does not.
    const auto is_digit = [](char32_t p) { return category(p) == UTF8PROC_CATEGORY_ND; };
    if (what == "digit") return each(is_digit);
    if (what == "alnum") return each([&](char32_t p) { return is_alpha(p) || is_digit(p); });
    const auto wrong = what == "upper" ? UTF8PROC_CATEGORY_LL : UTF8PROC_CATEGORY_LU;
    bool any = false;
    for (const std::string_view c : all) {
        const auto kind = category(first_code_point(c));
        if (kind == wrong || kind == UTF8PROC_CATEGORY_LT) return false;
        any = any || is_cased(first_code_point(c));
    }
    return any;
}

std::string quoted(std::string_view text) {
    const char quote =
        text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
    std::string result(1, quote);
    for (const std::string_view each : characters(text)) {
        const char32_t point = first_code_point(each);
        const auto number = static_cast<std::uint32_t>(point);
        if (point == U'\\' || each[0] == quote) {
            (result += '\\') += each;
        } else if (point == U'\n') {
            result += "\\n";
        } else if (point == U'\r') {
            result += "\\r";
        } else if (point == U'\t') {
            result += "\\t";
        } else if (is_printable(point)) {
            result += each;
        } else if (number < 0x100) {
            result += fmt::format("\\x{:02x}", number);
        } else {
            result += number < 0x10000 ? fmt::format("\\u{:04x}", number) : fmt::format("\\U{:08x}", number);
        }
    }
    return result += quote;
}

std::string repr(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    std::array<char, 40> buffer{};
    const auto [end, error] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
    const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
    int exponent = 0;
    const std::size_t e = text.find('e');
    const bool minus = text[e + 1] == '-';
    std::from_chars(text.data() + e + 2, end, exponent);
    if (minus) exponent = -exponent;
    if (exponent < -4 || exponent >= 16)
        return fmt::format("{}e{}{:02}", text.substr(0, e), minus ? '-' : '+', std::abs(exponent));
    const auto fixed =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
    std::string result(buffer.data(), fixed.ptr);
    if (result.find('.') == std::string::npos) result += ".0";
    return result;
}

std::string unescaped(std::string_view literal) {
    std::string result;
    while (!literal.empty()) {
        const std::size_t backslash = std::min(literal.find('\\'), literal.size());
        result += literal.substr(0, backslash);
        literal.remove_prefix(backslash);
        if (literal.size() < 2) break;
        const char code = literal[1];
        literal.remove_prefix(2);
        switch (code) {
            case '\n':
                break;
            case '\\':
            case '\'':
            case '"':
                result += code;
                break;
            case 'a':
                result += '\a';
                break;
            case 'b':
                result += '\b';
                break;
            case 'f':
                result += '\f';
                break;
            case 'n':
                result += '\n';
                break;
            case 'r':
                result += '\r';
                break;
            case 't':
                result += '\t';
                break;
            case 'v':
                result += '\v';
                break;
            case 'x':
                append_utf8(result, take_digits(literal, 2, 2, 16));
                break;
            case 'u':
                append_utf8(result, take_digits(literal, 4, 4, 16));
                break;
            case 'U':
                append_utf8(result, take_digits(literal, 8, 8, 16));
                break;
            case 'N':
                refuse("the escape '\\N' in a string is not implemented; write the character itself");
            default:
                if (code >= '0' && code <= '7') {
                    std::string digits = code + std::string(literal.substr(0, 2));
                    std::string_view rest = digits;
                    append_utf8(result, take_digits(rest, 1, 3, 8));
                    literal.remove_prefix(digits.size() - rest.size() - 1);
                } else {
                    (result += '\\') += code;
                }
        }
    }
    return result;
}

void append_utf8(std::string& text, std::uint32_t point) {
    const auto byte = [&](std::uint32_t value) { text += static_cast<char>(value); };
    if (point >= 0x110000 || (point >= 0xD800 && point < 0xE000)) refuse("U+{:04X} is no character", point);
    if (point < 0x80) return byte(point);
    if (point < 0x800) {
        byte(0xC0U | point >> 6U);
    } else {
        if (point < 0x10000) {
            byte(0xE0U | point >> 12U);
        } else {
            byte(0xF0U | point >> 18U);
            byte(0x80U | (point >> 12U & 0x3FU));
        }
        byte(0x80U | (point >> 6U & 0x3FU));
    }
    byte(0x80U | (point & 0x3FU));
}

}  // namespace jlcm::jinja::python
