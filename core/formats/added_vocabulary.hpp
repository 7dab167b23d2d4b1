#pragma once
// Tokens that are added to a tokenizer's vocabulary, and the ids that they get.

#include "core/base/json.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

namespace jlcm {

/// Hugging Face's AddedToken: what is recognised in a text before it is split, and how.
struct TokenEntry {
    std::string content;
    bool single_word = false;  ///< only where no letter, digit or mark stands beside it
    bool lstrip = false;       ///< takes the white space before it along
    bool rstrip = false;       ///< takes the white space behind it along
    bool normalized = true;    ///< looked for in the normalised text
    bool special = false;

    bool operator==(const TokenEntry&) const = default;
};

/// The members of AddedToken from JSON (others are ignored); `normalized` is the opposite of `special` unless
/// it is given. Input errors name the member.
[[nodiscard]] TokenEntry token_entry_from(const nlohmann::json& object);

/// A vocabulary and what is added to it, by the rule of `tokenizers` (added_vocabulary.rs): a token that the
/// vocabulary has keeps its id; any other gets the next one, whatever its file says.
class AddedVocabulary {
  public:
    /// `vocabulary`: id by token.
    explicit AddedVocabulary(std::unordered_map<std::string, std::int64_t> vocabulary);

    /// Adds a token, or gives one that was added before these properties. An empty one is left out.
    void add(const TokenEntry& token);

    [[nodiscard]] std::optional<std::int64_t> id_of(const std::string& content) const;
    [[nodiscard]] bool has_added(const std::string& content) const { return added_ids_.contains(content); }

    /// As `added_tokens` of a tokenizer.json, by id. The library goes on looking for a token in the forms
    /// that it was added in before, normalised or not: then it comes more than once, as it is now last.
    [[nodiscard]] nlohmann::json to_json() const;

  private:
    [[nodiscard]] std::int64_t next_id() const;

    std::unordered_map<std::string, std::int64_t> vocabulary_;
    std::unordered_map<std::string, std::int64_t> added_ids_;
    std::map<std::int64_t, TokenEntry> added_;
    /// The forms that a token was added in: the first one as a special token, any as another.
    struct Forms {
        std::optional<bool> special_normalized;
        bool plain = false;
        bool plain_normalized = false;
    };
    std::unordered_map<std::string, Forms> forms_;
};

}  // namespace jlcm
