#pragma once
// Token streams: datasets as ids, cut into windows, and drawn from.

#include "core/base/draws.hpp"
#include "core/text/text_data.hpp"
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

/// Windows drawn from several texts (core/base/draws.hpp).
class WindowSampler {
  public:
    /// `shares` (one a text, >= 0, their sum > 0) say how often each text's turn comes. The texts must
    /// outlive the sampler. An input error names a text with a share that is shorter than one window.
    WindowSampler(const std::vector<const TokenizedText*>& texts, const std::vector<double>& shares,
                  std::int64_t length, std::uint64_t seed);

    /// Windows first, first + 1, ..., first + count - 1.
    [[nodiscard]] std::vector<std::span<const std::int32_t>> windows(std::int64_t first,
                                                                     std::int64_t count) const;

    /// How many different tokens of the texts the windows [0, count) hold.
    [[nodiscard]] std::int64_t distinct_tokens(std::int64_t count) const {
        return draws_.distinct(count) * length_;
    }

  private:
    using Windows = std::vector<std::span<const std::int32_t>>;
    std::vector<Windows> sources_;
    std::int64_t length_;
    Draws draws_;
};

}  // namespace jlcm
