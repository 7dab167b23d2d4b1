#include "core/text/pre_tokenizer.hpp"

#include "core/text/regex.hpp"

#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace jlcm {

namespace {

std::string replace_all(const Regex& regex, std::string_view text, std::string_view content) {
    std::string result;
    regex.split(text, [&](std::string_view piece, bool is_match) { result += is_match ? content : piece; });
    return result;
}

/// Neighbouring views of one text as one view.
std::string_view joined(std::string_view left, std::string_view right) {
    return {left.data(), left.size() + right.size()};
}

struct Part {
    std::string_view text;
    bool is_match;
};

void append_parts(const std::vector<Part>& parts, SplitBehavior behavior,
                  std::vector<std::string_view>& out) {
    const std::size_t first = out.size();
    bool previous_match = false;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto [text, is_match] = parts[i];
        const bool has_last = out.size() > first;
        bool append = false;  // to the last piece, instead of starting one
        switch (behavior) {
            case SplitBehavior::removed:
                if (is_match) continue;
                break;
            case SplitBehavior::isolated:
                break;
            case SplitBehavior::merged_with_previous:
                append = is_match && !previous_match && has_last;
                break;
            case SplitBehavior::merged_with_next:
                append = !is_match && previous_match && has_last;
                break;
            case SplitBehavior::contiguous:
                append = is_match == previous_match && has_last;
                break;
        }
        if (append) out.back() = joined(out.back(), text);
        if (!append) out.push_back(text);
        previous_match = is_match;
    }
}

bool starts_with(std::string_view text, std::string_view prefix) {
    return text.substr(0, prefix.size()) == prefix;
}

}  // namespace

NormalizeStep prepend_step(std::string prefix) {
    return
        [prefix = std::move(prefix)](const std::string& text) { return text.empty() ? text : prefix + text; };
}

NormalizeStep replace_step(const std::string& pattern, std::string content) {
    return [regex = Regex(pattern), content = std::move(content)](const std::string& text) {
        return replace_all(regex, text, content);
    };
}

PieceStep split_step(const std::string& pattern, SplitBehavior behavior, bool invert) {
    return [regex = Regex(pattern), behavior, invert](Pieces& pieces) {
        std::vector<std::string_view> result;
        std::vector<Part> parts;
        for (const std::string_view piece : pieces.views) {
            parts.clear();
            regex.split(piece, [&](std::string_view text, bool is_match) {
                parts.push_back({text, is_match != invert});
            });
            append_parts(parts, behavior, result);
        }
        pieces.views = std::move(result);
    };
}

PieceStep prefix_space_step() {
    return [](Pieces& pieces) {
        for (std::string_view& piece : pieces.views)
            if (!starts_with(piece, " ")) piece = pieces.owned.emplace_back(fmt::format(" {}", piece));
    };
}

PieceStep metaspace_step(std::string replacement, PrependScheme scheme, bool split) {
    const PieceStep split_pieces = split_step(Regex::quoted(replacement), SplitBehavior::merged_with_next);
    return [spaces = Regex(" "), replacement = std::move(replacement), scheme, split,
            split_pieces](Pieces& pieces) {
        bool first = pieces.at_text_start;
        for (std::string_view& piece : pieces.views) {
            std::string text = replace_all(spaces, piece, replacement);
            const bool wanted = scheme == PrependScheme::always || (scheme == PrependScheme::first && first);
            if (wanted && !starts_with(text, replacement)) text.insert(0, replacement);
            piece = pieces.owned.emplace_back(std::move(text));
            first = false;
        }
        if (split) split_pieces(pieces);
    };
}

DecodeStep decode_replace_step(const std::string& pattern, std::string content) {
    return [regex = Regex(pattern), content = std::move(content)](std::vector<std::string>& tokens) {
        for (std::string& token : tokens) token = replace_all(regex, token, content);
    };
}

DecodeStep decode_byte_fallback_step() {
    return [](std::vector<std::string>& tokens) {
        for (std::string& token : tokens) {
            if (token.size() != 6 || !starts_with(token, "<0x") || token[5] != '>') continue;
            unsigned byte = 0;
            const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
            if (error == std::errc() && end == token.data() + 5)
                token = std::string(1, static_cast<char>(byte));
        }
    };
}

DecodeStep decode_fuse_step() {
    return [](std::vector<std::string>& tokens) {
        std::string whole;
        for (const std::string& token : tokens) whole += token;
        tokens.assign(1, whole);
    };
}

DecodeStep decode_strip_step(std::string content, std::size_t start, std::size_t stop) {
    return [content = std::move(content), start, stop](std::vector<std::string>& tokens) {
        for (std::string& token : tokens) {
            std::string_view rest = token;
            for (std::size_t i = 0; i < start && starts_with(rest, content); ++i)
                rest.remove_prefix(content.size());
            for (std::size_t i = 0; i < stop && rest.ends_with(content); ++i)
                rest.remove_suffix(content.size());
            token = std::string(rest);
        }
    };
}

DecodeStep decode_word_piece_step(std::string prefix, bool cleanup) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> corrections{{
        {" .", "."},
        {" ?", "?"},
        {" !", "!"},
        {" ,", ","},
        {" ' ", "'"},
        {" n't", "n't"},
        {" 'm", "'m"},
        {" do not", " don't"},
        {" 's", "'s"},
        {" 've", "'ve"},
        {" 're", "'re"},
    }};
    return [prefix = std::move(prefix), cleanup](std::vector<std::string>& tokens) {
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            std::string& token = tokens[i];
            if (i > 0 && token.starts_with(prefix))
                token.erase(0, prefix.size());
            else if (i > 0)
                token.insert(0, 1, ' ');
            if (!cleanup) continue;
            for (const auto& [from, to] : corrections)
                for (std::size_t at = token.find(from); at != std::string::npos;
                     at = token.find(from, at + to.size()))
                    token.replace(at, from.size(), to);
        }
    };
}

DecodeStep decode_metaspace_step(const std::string& replacement, PrependScheme scheme) {
    return [regex = Regex(Regex::quoted(replacement)), scheme](std::vector<std::string>& tokens) {
        for (std::size_t i = 0; i < tokens.size(); ++i)
            tokens[i] = replace_all(regex, tokens[i], i == 0 && scheme != PrependScheme::never ? "" : " ");
    };
}

}  // namespace jlcm
