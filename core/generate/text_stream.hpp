#pragma once
// The text of tokens while they come, and where it ends.

#include "core/text/tokenizer.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// Decodes tokens that follow others. What it gives are whole characters, and together the text that the tokens add
/// to that of those before: tokenizers take a space from the first token of a text, and several tokens may make one
/// character.
class TextStream {
  public:
    /// `before`: the tokens in front. The tokenizer must outlive the stream.
    TextStream(const Tokenizer& tokenizer, std::span<const std::int32_t> before);
    /// The text that is certain with this token and was not before; may be empty. A token beyond the tokenizer's has
    /// none: heads of models are often padded to more rows than there are tokens.
    [[nodiscard]] std::string add(std::int32_t id);
    /// The rest, in which a character that was begun is U+FFFD.
    [[nodiscard]] std::string finish();

  private:
    /// Text of `window_` that was not given yet.
    [[nodiscard]] std::string pending() const;

    const Tokenizer* tokenizer_;
    std::vector<std::int32_t> window_;  ///< tokens whose text was given, then those whose text was not
    std::size_t given_;                 ///< how many of them
    std::string given_text_;            ///< of these
};

/// Looks for the first of several texts in a text that comes in pieces: the one that is complete first, the longest of
/// those. Where the pieces are cut makes no difference.
class StopTexts {
  public:
    /// Empty texts are an input error.
    explicit StopTexts(std::vector<std::string> texts);
    /// What may be shown of the text so far; the beginning of a stop text is held back.
    [[nodiscard]] std::string add(std::string_view piece);
    /// What was held back, at the end of the text.
    [[nodiscard]] std::string finish();
    /// Whether a stop text was found; nothing from it on is given.
    [[nodiscard]] bool found() const { return found_; }

  private:
    [[nodiscard]] std::size_t longest_beginning() const;

    std::vector<std::string> texts_;
    std::string held_;
    bool found_ = false;
};

}  // namespace jlcm
