#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/text/regex.hpp"

#include "core/base/error.hpp"
#include "core/text/utf8.hpp"

#include <array>

#include <pcre2.h>

namespace jlcm {

namespace {

std::string message_of(int code) {
    std::array<PCRE2_UCHAR, 256> buffer{};
    pcre2_get_error_message(code, buffer.data(), buffer.size());
    return reinterpret_cast<const char*>(buffer.data());
}

PCRE2_SPTR units(std::string_view text) {
    return reinterpret_cast<PCRE2_SPTR>(text.data());
}

/// White space and characters of words as Oniguruma means them: PCRE2's own \s has U+180E as well, which
/// Unicode took out of White_Space in version 6.3, and its \w lacks marks.
std::string with_unicode_classes(std::string_view pattern) {
    constexpr std::string_view word = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
    std::string result;
    bool in_class = false;
    std::size_t class_start = 0;  // where a ']' would be a character of the class
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '[' && !in_class) {
            in_class = true;
            class_start = i + 1 + (pattern.substr(i + 1).starts_with('^') ? 1 : 0);
        } else if (pattern[i] == ']' && in_class && i > class_start) {
            in_class = false;
        }
        if (pattern[i] != '\\' || i + 1 == pattern.size()) {
            result += pattern[i];
            continue;
        }
        const char escaped = pattern[++i];
        if (escaped == 's') {
            result += "\\p{White_Space}";
        } else if (escaped == 'S') {
            result += "\\P{White_Space}";
        } else if (escaped == 'w') {
            result += in_class ? std::string(word) : fmt::format("[{}]", word);
        } else if (escaped == 'W' && !in_class) {
            result += fmt::format("[^{}]", word);
        } else {
            result += {'\\', escaped};
        }
    }
    return result;
}

/// What one thread needs to match; made once a thread.
struct Scratch {
    static constexpr std::size_t stack_start = std::size_t{64} << 10U;
    static constexpr std::size_t stack_limit = std::size_t{64} << 20U;

    pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
    pcre2_match_context* context = pcre2_match_context_create(nullptr);
    pcre2_jit_stack* stack = pcre2_jit_stack_create(stack_start, stack_limit, nullptr);

    Scratch() {
        ensure(data != nullptr && context != nullptr && stack != nullptr, "no memory to match text");
        pcre2_jit_stack_assign(context, nullptr, stack);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() {
        pcre2_jit_stack_free(stack);
        pcre2_match_context_free(context);
        pcre2_match_data_free(data);
    }
};

}  // namespace

Regex::Regex(std::string_view pattern) {
    const std::string source = with_unicode_classes(pattern);
    int error = 0;
    PCRE2_SIZE position = 0;
    pcre2_code* code =
        pcre2_compile(units(source), source.size(), PCRE2_UTF | PCRE2_UCP, &error, &position, nullptr);
    require(code != nullptr, "the pattern \"{}\" is not understood near \"{}\": {}", pattern,
            source.substr(std::min<std::size_t>(position, source.size())), message_of(error));
    code_ = {code, [](void* owned) { pcre2_code_free(static_cast<pcre2_code*>(owned)); }};
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without it, on other processors, matching is only slower
}

void Regex::split(std::string_view text, const std::function<void(std::string_view, bool)>& piece) const {
    thread_local const Scratch scratch;
    const auto* code = static_cast<const pcre2_code*>(code_.get());
    std::size_t done = 0;   // pieces up to here have been handed out
    std::size_t start = 0;  // where the next match is looked for
    while (start < text.size()) {
        const int found = pcre2_match(code, units(text), text.size(), start, PCRE2_NO_UTF_CHECK, scratch.data,
                                      scratch.context);
        if (found == PCRE2_ERROR_NOMATCH) break;
        require(found >= 0, "matching a text failed: {}", message_of(found));
        const PCRE2_SIZE* range = pcre2_get_ovector_pointer(scratch.data);
        const std::size_t begin = range[0];
        const std::size_t end = range[1];
        if (begin >= end) {  // an empty match splits nothing
            if (begin >= text.size()) break;
            start = begin + utf8_length(text[begin]);
            continue;
        }
        if (begin > done) piece(text.substr(done, begin - done), false);
        piece(text.substr(begin, end - begin), true);
        done = start = end;
    }
    if (done < text.size()) piece(text.substr(done), false);
}

std::string Regex::quoted(std::string_view text) {
    std::string pattern;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain =
            byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!plain) pattern += fmt::format("\\x{{{:x}}}", static_cast<unsigned>(byte));
        if (plain) pattern += c;
    }
    return pattern;
}

}  // namespace jlcm
