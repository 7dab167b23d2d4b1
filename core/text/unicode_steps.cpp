#include "core/text/unicode_steps.hpp"

#include "core/base/error.hpp"
#include "core/text/library_unicode.hpp"
#include "core/text/utf8.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include <utf8proc.h>

namespace jlcm {
namespace {

void append(std::string& text, char32_t point) {
    std::array<utf8proc_uint8_t, 4> bytes{};
    const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(point), bytes.data());
    for (std::size_t i = 0; i < static_cast<std::size_t>(size); ++i) text += static_cast<char>(bytes.at(i));
}

/// `change(point, result)` for every code point of valid UTF-8.
template <class Change>
NormalizeStep by_code_point(Change change) {
    return [change](const std::string& text) {
        std::string result;
        result.reserve(text.size());
        const std::string_view view = text;
        for (std::size_t i = 0; i < view.size(); i += utf8_length(view[i]))
            change(first_code_point(view.substr(i)), result);
        return result;
    };
}

utf8proc_category_t category(char32_t point) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(point));
}

bool is_control(char32_t point) {
    switch (category(point)) {
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_CS:
            return point != U'\t' && point != U'\n' && point != U'\r' && !is_later_format(point);
        default:
            return point == 0xFFFD;
    }
}

bool is_ideograph(char32_t point) {
    struct Range {
        char32_t first;
        char32_t last;
    };
    // bert/tokenization.py, _is_chinese_char.
    static constexpr std::array<Range, 8> ranges{{{0x4E00, 0x9FFF},
                                                  {0x3400, 0x4DBF},
                                                  {0x20000, 0x2A6DF},
                                                  {0x2A700, 0x2B73F},
                                                  {0x2B740, 0x2B81F},
                                                  {0x2B920, 0x2CEAF},
                                                  {0xF900, 0xFAFF},
                                                  {0x2F800, 0x2FA1F}}};
    return std::ranges::any_of(ranges,
                               [&](Range range) { return point >= range.first && point <= range.last; });
}

/// Lower case of the characters that got one in Unicode 16; 0 for others.
char32_t later_lower_case(char32_t point) {
    if (point >= 0x10D50 && point <= 0x10D65) return point + 0x20;
    switch (point) {
        case 0x1C89:
            return 0x1C8A;
        case 0xA7CB:
            return 0x264;
        case 0xA7CC:
            return 0xA7CD;
        case 0xA7DA:
            return 0xA7DB;
        case 0xA7DC:
            return 0x19B;
        default:
            return 0;
    }
}

}  // namespace

bool is_white_space(char32_t point) {
    if (point >= U'\t' && point <= U'\r') return true;
    if (point == 0x85) return true;
    const auto kind = category(point);
    return kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL || kind == UTF8PROC_CATEGORY_ZP;
}

NormalizeStep normal_form_step(NormalForm form) {
    unsigned options = UTF8PROC_STABLE;
    const bool composes = form == NormalForm::nfc || form == NormalForm::nfkc;
    options |= composes ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    if (form == NormalForm::nfkc || form == NormalForm::nfkd) options |= UTF8PROC_COMPAT;
    return [options](const std::string& text) {
        const auto mapped = [&](std::string_view part) {
            utf8proc_uint8_t* bytes = nullptr;
            const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(part.data()),
                                           static_cast<utf8proc_ssize_t>(part.size()), &bytes,
                                           static_cast<utf8proc_option_t>(options));
            const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(bytes, &std::free);
            require(size >= 0, "the text cannot be normalised: {}", utf8proc_errmsg(size));
            return std::string(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
        };
        std::string result;
        std::string_view rest = text;
        for (std::size_t i = 0; i < rest.size();) {
            const std::size_t length = utf8_length(rest[i]);
            if (!is_later_decomposition(first_code_point(rest.substr(i)))) {
                i += length;
                continue;
            }
            result += mapped(rest.substr(0, i));
            result += rest.substr(i, length);
            rest.remove_prefix(i + length);
            i = 0;
        }
        return result + mapped(rest);
    };
}

NormalizeStep lower_case_step() {
    return by_code_point([](char32_t point, std::string& result) {
        // The one character whose lower case is two (Unicode's SpecialCasing.txt, without conditions).
        if (point == 0x130) {
            result += "i\u0307";
            return;
        }
        const char32_t later = later_lower_case(point);
        append(result, later != 0
                           ? later
                           : static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point))));
    });
}

NormalizeStep strip_accents_step(Marks marks) {
    return by_code_point([marks](char32_t point, std::string& result) {
        const auto kind = category(point);
        const bool is_nonspacing = kind == UTF8PROC_CATEGORY_MN;
        const bool is_mark = is_nonspacing || kind == UTF8PROC_CATEGORY_MC || kind == UTF8PROC_CATEGORY_ME;
        const bool is_dropped =
            marks == Marks::all
                ? (is_mark && !is_later_mark(point)) || is_former_mark(point)
                : (is_nonspacing && !is_later_nonspacing_mark(point)) || is_former_nonspacing_mark(point);
        if (!is_dropped) append(result, point);
    });
}

NormalizeStep strip_step(bool left, bool right) {
    return [left, right](const std::string& text) {
        std::string_view rest = text;
        while (left && !rest.empty() && is_white_space(first_code_point(rest)))
            rest.remove_prefix(utf8_length(rest[0]));
        while (right && !rest.empty() && is_white_space(first_code_point(last_character(rest))))
            rest.remove_suffix(last_character(rest).size());
        return std::string(rest);
    };
}

NormalizeStep clean_text_step() {
    return by_code_point([](char32_t point, std::string& result) {
        if (is_control(point)) return;
        append(result, is_white_space(point) ? U' ' : point);
    });
}

NormalizeStep space_around_ideographs_step() {
    return by_code_point([](char32_t point, std::string& result) {
        const bool apart = is_ideograph(point);
        if (apart) result += ' ';
        append(result, point);
        if (apart) result += ' ';
    });
}

}  // namespace jlcm
