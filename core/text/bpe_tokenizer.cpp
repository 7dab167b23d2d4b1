#include "core/text/bpe_tokenizer.hpp"

#include "core/base/error.hpp"
#include "core/text/utf8.hpp"

#include <algorithm>

namespace jlcm {

namespace {

/// Bytes that GPT-2's alphabet writes as the Latin-1 character of the same number.
bool stands_for_itself(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// GPT-2's alphabet: code point -> byte. The other 68 bytes are U+0100, U+0101, ... in order.
const std::unordered_map<char32_t, char>& byte_alphabet() {
    static const auto alphabet = [] {
        std::unordered_map<char32_t, char> result;
        char32_t next = 0x100;
        for (unsigned byte = 0; byte < 256; ++byte)
            result.emplace(stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++,
                           static_cast<char>(byte));
        return result;
    }();
    return alphabet;
}

/// The bytes that a token spelt in GPT-2's alphabet stands for; nothing where it has other characters.
std::optional<std::string> bytes_of(std::string_view token) {
    std::string bytes;
    for (std::size_t i = 0; i < token.size(); i += utf8_length(token[i])) {
        const auto found = byte_alphabet().find(first_code_point(token.substr(i)));
        if (found == byte_alphabet().end()) return std::nullopt;
        bytes += found->second;
    }
    return bytes;
}

std::vector<AddedToken> with_content(std::vector<AddedToken> tokens,
                                     const std::function<std::string(std::string_view)>& change) {
    for (AddedToken& token : tokens) token.content = change(token.content);
    return tokens;
}

}  // namespace

std::pair<std::string, std::string> split_merge(const std::string& merge) {
    const std::size_t space = merge.find(' ', 1);
    require(space != std::string::npos, "the tokenizer's merge \"{}\" is not two tokens", merge);
    return {merge.substr(0, space), merge.substr(space + 1)};
}

BpeTokenizer::BpeTokenizer(BpeDefinition definition, std::string hash)
    : Tokenizer({definition.bos, definition.eos}, std::move(hash)),
      definition_(std::move(definition)),
      added_(definition_.added, definition_.overlap),
      added_normalized_(
          with_content(definition_.added_normalized, [&](std::string_view text) { return normalized(text); }),
          definition_.overlap) {
    const auto check_id = [&](std::optional<std::int32_t> id, std::string_view what) {
        if (id && (*id < 0 || *id >= vocabulary_size()))
            fail("the tokenizer's {} has id {}, outside its {} tokens", what, *id, vocabulary_size());
    };
    const auto surface_of = [&](const std::string& token) {
        return definition_.byte_level ? bytes_of(token) : std::optional(token);
    };
    ids_.reserve(definition_.tokens.size());
    for (std::size_t id = 0; id < definition_.tokens.size(); ++id) {
        const auto surface = surface_of(definition_.tokens[id]);
        if (surface && !surface->empty()) ids_.try_emplace(*surface, static_cast<std::int32_t>(id));
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
        const std::string own(1, static_cast<char>(byte));
        byte_ids_[byte] = find(definition_.byte_level ? own : fmt::format("<0x{:02X}>", byte));
    }
    for (const auto& merge : definition_.merges) {
        const auto part = [&](const std::string& token) {
            const auto surface = surface_of(token);
            const auto id = surface ? find(*surface) : std::nullopt;
            if (!id)
                fail("the tokenizer's merge \"{} {}\" needs the token \"{}\", which it doesn't have",
                     merge.first, merge.second, token);
            return *id;
        };
        merges_.add(part(merge.first), part(merge.second), part(merge.first + merge.second));
    }
    // From here on `tokens` serves decoding alone: what each token stands for in a normalised text.
    const auto spell = [&](const AddedToken& token, std::string content) {
        const auto place = static_cast<std::size_t>(token.id);
        if (place >= definition_.tokens.size()) definition_.tokens.resize(place + 1);
        definition_.tokens[place] = std::move(content);
    };
    for (const AddedToken& token : definition_.added) spell(token, token.content);
    for (const AddedToken& token : definition_.added_normalized) spell(token, normalized(token.content));
    check_id(definition_.unknown, "unknown token");
    check_id(definition_.bos, "beginning-of-text token");
    check_id(definition_.eos, "end-of-text token");
    if (definition_.byte_level)
        for (std::string& token : definition_.tokens) token = bytes_of(token).value_or(token);
    definition_.merges.clear();
}

std::optional<std::int32_t> BpeTokenizer::find(std::string_view surface) const {
    const auto found = ids_.find(surface);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::string BpeTokenizer::normalized(std::string_view text) const {
    std::string result(text);
    for (const NormalizeStep& step : definition_.normalize) result = step(std::move(result));
    return result;
}

std::vector<std::int32_t> BpeTokenizer::symbols_of(std::string_view word) const {
    std::vector<std::int32_t> symbols;
    symbols.reserve(word.size());
    if (definition_.byte_level) {
        for (const char byte : word)
            if (const auto id = byte_ids_[static_cast<unsigned char>(byte)]) symbols.push_back(*id);
        return symbols;
    }
    bool previous_unknown = false;
    for (std::size_t i = 0; i < word.size();) {
        const std::string_view character = word.substr(i, utf8_length(word[i]));
        i += character.size();
        const auto is_token = [&](char byte) {
            return byte_ids_[static_cast<unsigned char>(byte)].has_value();
        };
        bool unknown = false;
        if (const auto id = find(character)) {
            symbols.push_back(*id);
        } else if (definition_.byte_fallback && std::all_of(character.begin(), character.end(), is_token)) {
            for (const char byte : character) symbols.push_back(*byte_ids_[static_cast<unsigned char>(byte)]);
        } else if (definition_.unknown) {
            unknown = true;
            if (!(definition_.fuse_unknown && previous_unknown)) symbols.push_back(*definition_.unknown);
        }
        previous_unknown = unknown;
    }
    return symbols;
}

std::vector<std::int32_t> BpeTokenizer::longest_pieces(std::string_view word, const WordPiece& rule) const {
    const auto unknown = [&] { return std::vector<std::int32_t>{definition_.unknown.value()}; };
    std::vector<std::size_t> ends;  // of the characters
    for (std::size_t i = 0; i < word.size(); ends.push_back(i)) i += utf8_length(word[i]);
    if (ends.size() > rule.longest_word) return unknown();
    std::vector<std::int32_t> pieces;
    for (std::size_t begin = 0; begin < word.size();) {
        std::optional<std::int32_t> piece;
        auto end = ends.rbegin();
        for (; end != ends.rend() && *end > begin; ++end) {
            const std::string_view part = word.substr(begin, *end - begin);
            piece = begin == 0 ? find(part) : find(rule.prefix + std::string(part));
            if (piece) break;
        }
        if (!piece) return unknown();
        pieces.push_back(*piece);
        begin = *end;
    }
    return pieces;
}

std::vector<std::int32_t> BpeTokenizer::encode_word(std::string_view word) const {
    if (definition_.word_piece) return longest_pieces(word, *definition_.word_piece);
    if (definition_.ignore_merges)
        if (const auto id = find(word)) return {*id};
    std::vector<std::int32_t> symbols = symbols_of(word);
    merges_.apply(symbols);
    return symbols;
}

/// One encode(): the ids so far, and the words seen.
class BpeTokenizer::Encoding {
  public:
    explicit Encoding(const BpeTokenizer& owner) : owner_(owner) {}

    void add(std::int32_t id) { ids_.push_back(id); }

    void add_text(std::string_view text, bool at_text_start) {
        Pieces pieces{.views = {text}, .owned = {}, .at_text_start = at_text_start};
        for (const PieceStep& step : owner_.definition_.split) step(pieces);
        for (const std::string_view word : pieces.views) add_word(word);
    }

    [[nodiscard]] std::vector<std::int32_t> take() { return std::move(ids_); }

  private:
    static constexpr std::size_t longest_kept_word = 64;

    void add_word(std::string_view word) {
        if (word.size() > longest_kept_word) {
            append(owner_.encode_word(word));
            return;
        }
        auto found = words_.find(word);
        if (found == words_.end()) found = words_.emplace(word, owner_.encode_word(word)).first;
        append(found->second);
    }
    void append(const std::vector<std::int32_t>& ids) { ids_.insert(ids_.end(), ids.begin(), ids.end()); }

    const BpeTokenizer& owner_;
    std::vector<std::int32_t> ids_;
    TextMap<std::vector<std::int32_t>> words_;
};

std::vector<std::int32_t> BpeTokenizer::encode(std::string_view text) const {
    const std::string valid = valid_utf8(text);
    Encoding encoding(*this);
    added_.split(valid, [&](std::string_view section, std::optional<std::int32_t> id) {
        if (id) {
            encoding.add(*id);
            return;
        }
        const std::string rest = normalized(section);
        added_normalized_.split(rest, [&](std::string_view part, std::optional<std::int32_t> part_id) {
            const bool at_text_start = section.data() == valid.data() && part.data() == rest.data();
            if (part_id) encoding.add(*part_id);
            if (!part_id) encoding.add_text(part, at_text_start);
        });
    });
    return encoding.take();
}

std::string BpeTokenizer::decode(std::span<const std::int32_t> ids) const {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const std::int32_t id : ids) {
        require(id >= 0 && id < vocabulary_size(), "token id {} is outside the vocabulary of {}", id,
                vocabulary_size());
        tokens.push_back(definition_.tokens[static_cast<std::size_t>(id)]);
    }
    for (const DecodeStep& step : definition_.decode) step(tokens);
    return fmt::format("{}", fmt::join(tokens, definition_.separator));
}

}  // namespace jlcm
