#pragma once
// Token streams: datasets as ids, cut into windows, and drawn from.

#include "core/text/dataset.hpp"
#include "core/text/tokenizer.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace jlcm {

/// A dataset's tokens, its documents one after the other.
struct TokenizedText {
    std::string name;                  ///< the dataset's
    std::vector<std::int32_t> ids;     ///< without beginning-of-text tokens
    std::vector<std::int64_t> starts;  ///< index in `ids` of each document's first token

    /// The ids of document `i`.
    [[nodiscard]] std::span<const std::int32_t> document(std::int64_t i) const;
};

/// Encodes every document on its own; `between` is put after every document but the last.
[[nodiscard]] TokenizedText tokenize(const TextData& text, const Tokenizer& tokenizer,
                                     std::optional<std::int32_t> between = std::nullopt);

/// SHA-256 of the ids as little-endian 32-bit integers.
[[nodiscard]] std::string token_hash(std::span<const std::int32_t> ids);

/// Views of `ids`, `length` >= 1 tokens each, without overlap from the start; what is left at the end is
/// dropped.
[[nodiscard]] std::vector<std::span<const std::int32_t>> cut_windows(std::span<const std::int32_t> ids,
                                                                     std::int64_t length);

/// An endless sequence of windows drawn from several texts. The i-th window depends on (texts, shares,
/// length, seed, i) alone, so that a run that goes on at window i needs no other state. Of each text, windows
/// come in random order without replacement; when all have been drawn, they come again in another order.
class WindowSampler {
  public:
    /// `shares` (one a text, >= 0, their sum > 0) say how often each text's turn comes. The texts must
    /// outlive the sampler. An input error names a text with a share that is shorter than one window.
    WindowSampler(std::vector<const TokenizedText*> texts, std::vector<double> shares, std::int64_t length,
                  std::uint64_t seed);

    /// Windows first, first + 1, ..., first + count - 1.
    [[nodiscard]] std::vector<std::span<const std::int32_t>> windows(std::int64_t first,
                                                                     std::int64_t count) const;

    /// How many different tokens of the texts the windows [0, count) hold.
    [[nodiscard]] std::int64_t distinct_tokens(std::int64_t count) const;

  private:
    struct Source {
        std::vector<std::span<const std::int32_t>> windows;
        double share;
    };
    /// Whose turn each of the windows [0, count) is.
    [[nodiscard]] std::vector<std::size_t> turns(std::int64_t count) const;

    std::vector<Source> sources_;
    std::int64_t length_;
    std::uint64_t seed_;
};

}  // namespace jlcm
