#include "core/text/jinja/lexer.hpp"

#include "core/text/jinja/problem.hpp"
#include "core/text/jinja/python_text.hpp"
#include "core/text/white_space.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace jlcm::jinja {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Letters beyond ASCII are taken as such.
bool is_name_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

constexpr std::array<std::string_view, 26> symbols{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                   "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                   ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

/// jinja2/lexer.py, Lexer.tokeniter.
class Lexer {
  public:
    explicit Lexer(std::string_view source) : source_(source) {}

    std::vector<Token> run() {
        while (at_ < source_.size()) {
            const std::size_t tag = next_tag();
            const std::string_view data = source_.substr(at_, tag - at_);
            if (tag == source_.size()) {
                add_data(data);
                break;
            }
            const char kind = source_[tag + 1];
            const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
            add_data(stripped_before(data, sign, kind == '{'));
            at_ = tag + (sign == '-' || sign == '+' ? 3 : 2);
            if (kind == '#') {
                skip_comment(tag);
            } else if (kind == '{') {
                add(TokenKind::print_begin, "{{", tag);
                read_tag(tag, true);
            } else if (!read_raw(tag)) {
                add(TokenKind::block_begin, "{%", tag);
                read_tag(tag, false);
            }
        }
        add(TokenKind::end, "", source_.size());
        return std::move(tokens_);
    }

  private:
    [[nodiscard]] std::string_view rest() const { return source_.substr(at_); }
    void add(TokenKind kind, std::string text, std::size_t at) {
        tokens_.push_back({kind, std::move(text), at});
    }
    void add_data(std::string_view data) {
        if (!data.empty()) add(TokenKind::data, std::string(data), at_);
    }

    [[nodiscard]] std::size_t next_tag() const {
        for (std::size_t i = at_; (i = source_.find('{', i)) != std::string_view::npos; ++i)
            if (i + 1 < source_.size() &&
                std::string_view("%{#").find(source_[i + 1]) != std::string_view::npos)
                return i;
        return source_.size();
    }

    /// `data` in front of a tag; white space on the tag's own line belongs to a block or comment.
    [[nodiscard]] std::string_view stripped_before(std::string_view data, char sign, bool is_print) const {
        if (sign == '-') return python_rstrip(data);
        if (sign == '+' || is_print) return data;
        const std::size_t newline = data.rfind('\n');
        const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
        const bool starts_line = line > 0 || at_ == 0 || source_[at_ - 1] == '\n';
        return starts_line && python_strip(data.substr(line)).empty() ? data.substr(0, line) : data;
    }

    /// Skips the end of a block or comment that starts here: "-%}", "+%}", "%}"; false where there is none.
    bool skip_end(std::string_view end) {
        const char sign = at_ < source_.size() ? source_[at_] : ' ';
        const std::size_t signs = sign == '-' || sign == '+' ? 1 : 0;
        if (!source_.substr(at_ + signs).starts_with(end)) return false;
        at_ += signs + end.size();
        if (sign == '-') {
            skip_spaces();
        } else if (sign != '+' && rest().starts_with('\n')) {
            ++at_;
        }
        return true;
    }

    /// The same of an end that a newline does not belong to: "}}", and that of "raw".
    bool skip_plain_end(std::string_view end) {
        const bool strips = rest().starts_with('-');
        if (!rest().substr(strips ? 1 : 0).starts_with(end)) return false;
        at_ += end.size() + (strips ? 1 : 0);
        if (strips) skip_spaces();
        return true;
    }

    void skip_spaces() {
        at_ += rest().size() - python::strip(rest(), std::nullopt, python::Side::left).size();
    }

    void skip_comment(std::size_t tag) {
        while (at_ < source_.size()) {
            if (skip_end("#}")) return;
            ++at_;
        }
        refuse_at(tag, "a comment is not ended by '#}}'");
    }

    /// Whether `name` stands here as a block of its own, which is then skipped.
    bool skip_block(std::string_view name) {
        const std::size_t before = at_;
        skip_spaces();
        if (rest().starts_with(name)) {
            at_ += name.size();
            skip_spaces();
            if (name == "endraw" ? skip_end("%}") : skip_plain_end("%}")) return true;
        }
        at_ = before;
        return false;
    }

    bool read_raw(std::size_t tag) {
        if (!skip_block("raw")) return false;
        for (std::size_t end = at_; (end = source_.find("{%", end)) != std::string_view::npos; end += 2) {
            const std::string_view data = source_.substr(at_, end - at_);
            const char sign = end + 2 < source_.size() ? source_[end + 2] : ' ';
            const std::string_view kept = stripped_before(data, sign, false);
            const std::size_t begin = at_;
            at_ = end + (sign == '-' || sign == '+' ? 3 : 2);
            if (skip_block("endraw")) {
                if (!kept.empty()) add(TokenKind::data, std::string(kept), begin);
                return true;
            }
            at_ = begin;
        }
        refuse_at(tag, "the block 'raw' is not ended by 'endraw'");
    }

    void read_tag(std::size_t tag, bool is_print) {
        std::string open;  // brackets that are not closed yet
        while (true) {
            skip_spaces();
            if (at_ >= source_.size()) refuse_at(tag, "the tag is not ended by '{}'", is_print ? "}}" : "%}");
            const std::size_t begin = at_;
            if (open.empty() && (is_print ? skip_plain_end("}}") : skip_end("%}"))) {
                add(is_print ? TokenKind::print_end : TokenKind::block_end, is_print ? "}}" : "%}", begin);
                return;
            }
            const char c = source_[at_];
            if (is_digit(c)) {
                read_number();
            } else if (is_name_character(c)) {
                while (at_ < source_.size() && is_name_character(source_[at_])) ++at_;
                add(TokenKind::name, std::string(source_.substr(begin, at_ - begin)), begin);
            } else if (c == '\'' || c == '"') {
                read_text();
            } else {
                read_symbol(open);
            }
        }
    }

    /// Digits of a base with single underscores between them; false where there are none.
    bool read_digits(std::string& digits, std::string_view of = "0123456789") {
        const std::size_t before = digits.size();
        while (at_ < source_.size()) {
            const bool is_gap = source_[at_] == '_' && digits.size() > before && at_ + 1 < source_.size();
            const std::size_t place = at_ + (is_gap ? 1 : 0);
            if (of.find(source_[place]) == std::string_view::npos) break;
            digits += source_[place];
            at_ = place + 1;
        }
        return digits.size() > before;
    }

    void read_number() {
        const std::size_t begin = at_;
        std::string digits;
        if (rest().size() > 1 && source_[at_] == '0') {
            const char base = static_cast<char>(std::tolower(static_cast<unsigned char>(source_[at_ + 1])));
            const std::string_view of = base == 'x'   ? "0123456789abcdefABCDEF"
                                        : base == 'o' ? "01234567"
                                        : base == 'b' ? "01"
                                                      : "";
            if (!of.empty()) {
                at_ += 2;
                digits = {'0', base};
                if (!read_digits(digits, of)) refuse_at(begin, "the number '{}' has no digits", digits);
                return add(TokenKind::integer, std::move(digits), begin);
            }
        }
        (void)read_digits(digits);
        bool is_float = false;
        // "x.0.1" are two subscripts.
        if (begin == 0 || source_[begin - 1] != '.') {
            if (rest().size() > 1 && source_[at_] == '.' && is_digit(source_[at_ + 1])) {
                digits += '.';
                ++at_;
                is_float = read_digits(digits);
            }
            const std::size_t sign =
                rest().size() > 1 && (source_[at_ + 1] == '+' || source_[at_ + 1] == '-') ? 1 : 0;
            if (rest().size() > 1 + sign && (source_[at_] | 0x20) == 'e' &&
                is_digit(source_[at_ + 1 + sign])) {
                digits += source_.substr(at_, 1 + sign);
                at_ += 1 + sign;
                is_float = read_digits(digits);
            }
        }
        add(is_float ? TokenKind::floating : TokenKind::integer, std::move(digits), begin);
    }

    void read_text() {
        const std::size_t begin = at_;
        const char quote = source_[at_++];
        while (at_ < source_.size() && source_[at_] != quote) at_ += source_[at_] == '\\' ? 2 : 1;
        if (at_ >= source_.size()) refuse_at(begin, "the string is not ended by {}", quote);
        try {
            add(TokenKind::text, python::unescaped(source_.substr(begin + 1, at_ - begin - 1)), begin);
        } catch (Problem& problem) {
            problem.place(begin);
            throw;
        }
        ++at_;
    }

    void read_symbol(std::string& open) {
        const auto found = std::ranges::find_if(symbols, [&](auto each) { return rest().starts_with(each); });
        if (found == symbols.end())
            refuse_at(at_, "'{}' is unexpected here", python::characters(rest().substr(0, 8)).front());
        const char c = found->front();
        if (c == '(') open += ')';
        if (c == '[') open += ']';
        if (c == '{') open += '}';
        if (c == ')' || c == ']' || c == '}') {
            if (open.empty() || open.back() != c) refuse_at(at_, "'{}' closes nothing that is open", c);
            open.pop_back();
        }
        add(TokenKind::symbol, std::string(*found), at_);
        at_ += found->size();
    }

    std::string_view source_;
    std::size_t at_ = 0;
    std::vector<Token> tokens_;
};

}  // namespace

std::string normalized_source(std::string_view source) {
    std::string result;
    result.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
        result += source[i] == '\r' ? '\n' : source[i];
    }
    if (result.ends_with('\n')) result.pop_back();
    return result;
}

std::vector<Token> tokenize_template(std::string_view source) {
    return Lexer(source).run();
}

}  // namespace jlcm::jinja
