#pragma once
// Tokens that are recognised in the text itself, before it is split: "<|im_start|>" and its like.

#include "core/text/regex.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jlcm {

struct AddedToken {
    std::string content;
    std::int32_t id = 0;
    bool strip_left = false;   ///< takes the white space before it along
    bool strip_right = false;  ///< takes the white space after it along
    bool single_word = false;  ///< only where no letter, digit, mark or underscore stands beside it
};

/// Which of several tokens counts that overlap in a text.
enum class Overlap : std::uint8_t {
    leftmost,  ///< the one that starts first, the longest of those: `tokenizers`
    longest,   ///< the longest in the whole text, the leftmost of equals: llama.cpp, which strips nothing
};

class AddedTokens {
  public:
    /// Tokens with empty content match nothing. Of several with one content the first counts.
    explicit AddedTokens(const std::vector<AddedToken>& tokens, Overlap overlap = Overlap::leftmost);
    AddedTokens(const AddedTokens&) = delete;  // the table points into the list
    AddedTokens& operator=(const AddedTokens&) = delete;

    /// Calls `section(text, id)` in order: an added token's id, or nothing for the text between them, which
    /// is never empty.
    void split(std::string_view text,
               const std::function<void(std::string_view, std::optional<std::int32_t>)>& section) const;

  private:
    using Section = std::function<void(std::string_view, std::optional<std::int32_t>)>;
    void split_leftmost(const Regex& regex, std::string_view text, const Section& section) const;
    void split_longest(std::string_view text, std::size_t first, const Section& section) const;

    std::vector<AddedToken> by_length_;                               ///< longest first
    std::unordered_map<std::string_view, const AddedToken*> tokens_;  ///< into by_length_
    std::optional<Regex> regex_;                                      ///< none if there are no tokens
    Overlap overlap_;
};

}  // namespace jlcm
