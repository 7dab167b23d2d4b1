#pragma once
// Regular expressions over UTF-8 (PCRE2, compiled to machine code): tokenizers need Unicode classes and
// look-ahead.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace jlcm {

/// The content of a character class: what Rust's regular expressions call `\w` (Unicode Technical Standard
/// 18, annex C); PCRE2's own lacks marks.
inline constexpr const char* word_characters = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D})";

/// A compiled pattern. Matching is const and may run in several threads at once.
class Regex {
  public:
    /// The pattern in the syntax that tokenizer files use (Oniguruma's, as far as PCRE2 shares it); `\s`
    /// means Unicode's White_Space, and `\w` letters, marks, digits and connectors. An input error shows the
    /// pattern and the place where it is not understood.
    explicit Regex(std::string_view pattern);

    /// Calls `piece(text, is_match)` for the matches and for what lies between them, in order; no piece is
    /// empty. `text` must be valid UTF-8.
    void split(std::string_view text, const std::function<void(std::string_view, bool)>& piece) const;

    /// A pattern that matches exactly `text`.
    [[nodiscard]] static std::string quoted(std::string_view text);

  private:
    std::shared_ptr<void> code_;
};

}  // namespace jlcm
