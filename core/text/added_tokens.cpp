#include "core/text/added_tokens.hpp"

#include "core/text/unicode_steps.hpp"
#include "core/text/utf8.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>

namespace jlcm {

namespace {

/// Whether a character, or nothing, is one of words.
bool is_word(std::string_view character) {
    static const Regex pattern(fmt::format("[{}]", word_characters));
    bool found = false;
    pattern.split(character, [&](std::string_view, bool is_match) { found = found || is_match; });
    return found;
}

bool starts_with_word(std::string_view text) {
    return !text.empty() && is_word(text.substr(0, utf8_length(text[0])));
}

/// Bytes of white space in front.
std::size_t leading_space(std::string_view text) {
    std::size_t size = 0;
    while (size < text.size() && is_white_space(first_code_point(text.substr(size))))
        size += utf8_length(text[size]);
    return size;
}

std::size_t trailing_space(std::string_view text) {
    const std::size_t size = text.size();
    while (!text.empty() && is_white_space(first_code_point(last_character(text))))
        text.remove_suffix(last_character(text).size());
    return size - text.size();
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, Overlap overlap) : overlap_(overlap) {
    std::set<std::string_view> seen;
    for (const AddedToken& token : tokens)
        if (!token.content.empty() && seen.insert(token.content).second) by_length_.push_back(token);
    std::ranges::stable_sort(by_length_, std::greater<>(),
                             [](const AddedToken& token) { return token.content.size(); });
    std::string pattern;  // takes the first alternative that matches: the longest
    for (const AddedToken& token : by_length_) {
        tokens_.emplace(token.content, &token);
        pattern += (pattern.empty() ? "" : "|") + Regex::quoted(token.content);
    }
    if (!pattern.empty() && overlap_ == Overlap::leftmost) regex_.emplace(pattern);
}

void AddedTokens::split(std::string_view text, const Section& section) const {
    if (by_length_.empty()) {
        if (!text.empty()) section(text, std::nullopt);
    } else if (regex_) {
        split_leftmost(*regex_, text, section);
    } else {
        split_longest(text, 0, section);
    }
}

// AddedVocabulary::find_matches of `tokenizers`, step by step.
void AddedTokens::split_leftmost(const Regex& regex, std::string_view text, const Section& section) const {
    std::size_t done = 0;
    regex.split(text, [&](std::string_view piece, bool is_match) {
        if (!is_match) return;
        auto start = static_cast<std::size_t>(piece.data() - text.data());
        std::size_t stop = start + piece.size();
        const AddedToken& token = *tokens_.at(piece);
        if (token.single_word &&
            (is_word(last_character(text.substr(0, start))) || starts_with_word(text.substr(stop))))
            return;
        if (token.strip_left) {
            // What an earlier token took is not taken again.
            const std::size_t from = std::min(done, start);
            start -= trailing_space(text.substr(from, start - from));
        }
        if (token.strip_right) stop += leading_space(text.substr(stop));
        if (done < start) section(text.substr(done, start - done), std::nullopt);
        section(text.substr(start, stop - start), token.id);
        done = stop;
    });
    if (done < text.size()) section(text.substr(done), std::nullopt);
}

// tokenizer_st_partition of llama.cpp: token by token over all the text that is left.
void AddedTokens::split_longest(std::string_view text, std::size_t first, const Section& section) const {
    for (std::size_t i = first; i < by_length_.size(); ++i) {
        const AddedToken& token = by_length_[i];
        std::size_t at = text.find(token.content);
        if (at == std::string_view::npos) continue;
        for (; at != std::string_view::npos; at = text.find(token.content)) {
            if (at > 0) split_longest(text.substr(0, at), i + 1, section);
            section(text.substr(at, token.content.size()), token.id);
            text.remove_prefix(at + token.content.size());
        }
        if (!text.empty()) split_longest(text, i + 1, section);
        return;
    }
    if (!text.empty()) section(text, std::nullopt);
}

}  // namespace jlcm
