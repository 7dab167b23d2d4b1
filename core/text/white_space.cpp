#include "core/text/white_space.hpp"

#include "core/text/utf8.hpp"

namespace jlcm {

bool is_python_space(char32_t point) {
    if (point < 0x80) return (point >= 0x09 && point <= 0x0D) || (point >= 0x1C && point <= 0x20);
    return point == 0x85 || point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) ||
           point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

std::string_view python_rstrip(std::string_view text) {
    while (!text.empty()) {
        std::size_t last = text.size() - 1;
        while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0U) == 0x80U) --last;
        if (!is_python_space(first_code_point(text.substr(last)))) break;
        text = text.substr(0, last);
    }
    return text;
}

std::string_view python_strip(std::string_view text) {
    while (!text.empty() && is_python_space(first_code_point(text)))
        text.remove_prefix(utf8_length(text.front()));
    return python_rstrip(text);
}

}  // namespace jlcm
