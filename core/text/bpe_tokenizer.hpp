#pragma once
// Byte-pair encoding as a whole: added tokens, normaliser, pre-tokenizer, merges, decoder; WordPiece, which
// differs in how a word is cut.

#include "core/text/added_tokens.hpp"
#include "core/text/merge_table.hpp"
#include "core/text/pre_tokenizer.hpp"
#include "core/text/tokenizer.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace jlcm {

/// Words as the longest tokens from left to right, those behind the first with a prefix (Wu et al., "Google's
/// neural machine translation system", 2016; greedy as in BERT).
struct WordPiece {
    std::string prefix = "##";
    std::size_t longest_word = 100;  ///< in characters; longer words are unknown
};

/// What a byte-pair encoding is made of, whatever file it comes from.
struct BpeDefinition {
    std::vector<std::string> tokens;  ///< the vocabulary by id; empty where an id has no token
    std::vector<std::pair<std::string, std::string>>
        merges;  ///< best first; parts and their union are tokens
    /// Tokens spell bytes by GPT-2's printable characters, and words start from bytes, not from characters.
    bool byte_level = false;
    std::optional<WordPiece> word_piece;  ///< in place of merges
    bool byte_fallback = false;           ///< a character that is no token becomes its bytes' tokens "<0x..>"
    bool fuse_unknown = false;            ///< neighbouring unknown characters make one unknown token
    bool ignore_merges = false;           ///< a word that is a token is that token, whatever the merges say
    std::optional<std::int32_t> unknown;  ///< without it, unknown characters are dropped

    std::vector<AddedToken> added;             ///< looked for in the text as it is
    std::vector<AddedToken> added_normalized;  ///< looked for after normalisation
    Overlap overlap = Overlap::leftmost;       ///< of added tokens
    std::vector<NormalizeStep> normalize;
    std::vector<PieceStep> split;
    std::vector<DecodeStep> decode;  ///< for byte_level not needed
    std::string separator;           ///< between decoded tokens

    std::optional<std::int32_t> bos;
    std::optional<std::int32_t> eos;
};

/// "left right", as tokenizer files spell a merge, in two.
[[nodiscard]] std::pair<std::string, std::string> split_merge(const std::string& merge);

class BpeTokenizer final : public Tokenizer {
  public:
    /// Throws an input error where merges name tokens that there aren't, or ids lie outside the vocabulary.
    BpeTokenizer(BpeDefinition definition, std::string hash);

    [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const override;
    [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override;
    [[nodiscard]] std::int32_t vocabulary_size() const override {
        return static_cast<std::int32_t>(definition_.tokens.size());
    }

  private:
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };
    template <class Value>
    using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;
    class Encoding;

    [[nodiscard]] std::optional<std::int32_t> find(std::string_view surface) const;
    [[nodiscard]] std::vector<std::int32_t> symbols_of(std::string_view word) const;
    [[nodiscard]] std::vector<std::int32_t> longest_pieces(std::string_view word,
                                                           const WordPiece& rule) const;
    [[nodiscard]] std::vector<std::int32_t> encode_word(std::string_view word) const;
    [[nodiscard]] std::string normalized(std::string_view text) const;

    BpeDefinition definition_;
    TextMap<std::int32_t> ids_;  ///< by what a token stands for: bytes for byte_level
    std::array<std::optional<std::int32_t>, 256> byte_ids_;
    MergeTable merges_;
    AddedTokens added_;
    AddedTokens added_normalized_;
};

}  // namespace jlcm
