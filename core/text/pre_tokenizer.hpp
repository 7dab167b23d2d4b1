#pragma once
// Normalisers, pre-tokenizers and decoders: the steps before and after byte-pair merges, named and defined as
// in the Hugging Face `tokenizers` library.

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// Changes a text before it is split.
using NormalizeStep = std::function<std::string(std::string)>;

/// A text cut into pieces; merges never cross from one piece to the next.
struct Pieces {
    std::vector<std::string_view> views;  ///< into the text, or into `owned`
    std::deque<std::string> owned;        ///< pieces that a step has changed
    bool at_text_start = true;            ///< whether the first piece begins the whole text
};
using PieceStep = std::function<void(Pieces&)>;

/// Changes the tokens of a text on their way back; what is left is joined.
using DecodeStep = std::function<void(std::vector<std::string>&)>;

/// What becomes of a match when a text is split by a pattern.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Prepends `prefix` to a text that is not empty.
[[nodiscard]] NormalizeStep prepend_step(std::string prefix);
/// Replaces every match of `pattern` (a regular expression) by `content`.
[[nodiscard]] NormalizeStep replace_step(const std::string& pattern, std::string content);

/// Splits every piece by `pattern`; `invert` swaps what matches with what lies between.
[[nodiscard]] PieceStep split_step(const std::string& pattern, SplitBehavior behavior, bool invert = false);
/// Gives every piece that doesn't start with a space one.
[[nodiscard]] PieceStep prefix_space_step();

/// Which pieces get the replacement character in front.
enum class PrependScheme { always, first, never };
/// Writes spaces as `replacement`, one character, and splits before each one if `split`.
[[nodiscard]] PieceStep metaspace_step(std::string replacement, PrependScheme scheme, bool split);

[[nodiscard]] DecodeStep decode_replace_step(const std::string& pattern, std::string content);
/// "<0x0A>" becomes that byte.
[[nodiscard]] DecodeStep decode_byte_fallback_step();
/// Joins the tokens.
[[nodiscard]] DecodeStep decode_fuse_step();
/// Drops up to `start` and `stop` copies of `content`, one character, at a token's ends.
[[nodiscard]] DecodeStep decode_strip_step(std::string content, std::size_t start, std::size_t stop);
/// Words apart, pieces that start with `prefix` joined to the one before; `cleanup` takes back the spaces in
/// front of English punctuation and contractions.
[[nodiscard]] DecodeStep decode_word_piece_step(std::string prefix, bool cleanup);
[[nodiscard]] DecodeStep decode_metaspace_step(const std::string& replacement, PrependScheme scheme);

}  // namespace jlcm
