#pragma once
// A tokenizer whose ids all have a row in a model's embedding.

#include "core/text/tokenizer.hpp"

#include <memory>

namespace jlcm {

/// `tokenizer`, but a text with a token whose id is not below `rows` is an input error that names these
/// tokens. Files often have more tokens than the model: such a tokenizer serves every text that doesn't use
/// them. Tokens for a text's beginning and end that have no row do not count as such.
[[nodiscard]] std::unique_ptr<Tokenizer> with_embedding(std::unique_ptr<Tokenizer> tokenizer,
                                                        std::int64_t rows);

/// Whether there are texts that `tokenizer` refuses for a token without a row: what is going to be read is worth
/// reading early then.
[[nodiscard]] bool refuses_some_texts(const Tokenizer& tokenizer);

}  // namespace jlcm
