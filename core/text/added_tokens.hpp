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
};

class AddedTokens {
  public:
    /// Tokens with empty content match nothing.
    explicit AddedTokens(const std::vector<AddedToken>& tokens);

    /// Calls `section(text, id)` in order: an added token's id, or nothing for the text between them.
    /// The leftmost token counts, the longest of those that start there.
    void split(std::string_view text,
               const std::function<void(std::string_view, std::optional<std::int32_t>)>& section) const;

  private:
    std::unordered_map<std::string, AddedToken> tokens_;
    std::optional<Regex> regex_;  ///< none where there are no tokens
};

}  // namespace jlcm
