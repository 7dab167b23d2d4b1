#pragma once
// A context and its continuation as the tokens that a likelihood is asked of.

#include "core/text/tokenizer.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

/// Tokens of a context and its continuation.
struct ContinuationTokens {
    std::vector<std::int32_t> ids;
    std::size_t begin = 0;  ///< of the continuation; at least 1
};

/// As lm_eval/api/model.py, TemplateLM.loglikelihood and _encode_pair: white space at the context's end
/// belongs to the continuation, both are tokenized as one text, and the continuation's tokens are those
/// behind as many as the context alone has. `first` is put in front of both unless they begin with it. In
/// place of an empty context stands the token that begins a text, or else the one that ends it. Too long, the
/// context loses tokens at its beginning, so that `longest` remain to be read (the last one is not).
[[nodiscard]] ContinuationTokens encode_continuation(const Tokenizer& tokenizer, const std::string& context,
                                                     const std::string& continuation,
                                                     std::optional<std::int32_t> first, std::int64_t longest);

}  // namespace jlcm
