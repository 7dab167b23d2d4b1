#include "core/text/added_tokens.hpp"

#include <algorithm>

namespace jlcm {

namespace {

std::string alternatives(std::vector<AddedToken> tokens) {
    // A pattern takes the first alternative that matches: longest first.
    std::stable_sort(tokens.begin(), tokens.end(), [](const AddedToken& left, const AddedToken& right) {
        return left.content.size() > right.content.size();
    });
    std::string pattern;
    for (const AddedToken& token : tokens) {
        if (token.content.empty()) continue;
        if (!pattern.empty()) pattern += '|';
        pattern += Regex::quoted(token.content);
    }
    return pattern;
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens) {
    for (const AddedToken& token : tokens) tokens_.insert_or_assign(token.content, token);
    if (const std::string pattern = alternatives(tokens); !pattern.empty()) regex_.emplace(pattern);
}

void AddedTokens::split(
    std::string_view text,
    const std::function<void(std::string_view, std::optional<std::int32_t>)>& section) const {
    if (!regex_) {
        if (!text.empty()) section(text, std::nullopt);
        return;
    }
    static const Regex white_space(R"(\s+)");
    const auto without_space_at = [](std::string_view part, bool front) {
        std::string_view rest = part;
        white_space.split(part, [&](std::string_view piece, bool is_match) {
            if (!is_match) return;
            if (front && piece.data() == part.data()) rest.remove_prefix(piece.size());
            if (!front && piece.data() + piece.size() == part.data() + part.size())
                rest = part.substr(0, part.size() - piece.size());
        });
        return rest;
    };

    // The text between two tokens is handed out when the token after it is known: that one may strip its end.
    std::string_view pending;
    bool strip_front = false;
    const auto hand_out = [&](bool strip_back) {
        if (strip_front) pending = without_space_at(pending, true);
        if (strip_back) pending = without_space_at(pending, false);
        if (!pending.empty()) section(pending, std::nullopt);
        pending = {};
    };
    regex_->split(text, [&](std::string_view piece, bool is_match) {
        if (!is_match) {
            pending = piece;
            return;
        }
        const AddedToken& token = tokens_.at(std::string(piece));
        hand_out(token.strip_left);
        section(piece, token.id);
        strip_front = token.strip_right;
    });
    hand_out(false);
}

}  // namespace jlcm
