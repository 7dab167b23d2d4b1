#pragma once
// Normalisers that know Unicode's characters, as in the Hugging Face `tokenizers` library.

#include "core/text/pre_tokenizer.hpp"

#include <cstdint>

namespace jlcm {

/// Unicode Standard Annex 15.
enum class NormalForm : std::uint8_t { nfc, nfd, nfkc, nfkd };
[[nodiscard]] NormalizeStep normal_form_step(NormalForm form);

/// Unicode's White_Space.
[[nodiscard]] bool is_white_space(char32_t point);

/// Each character by itself in lower case (Unicode's full mapping; a capital sigma at a word's end is no
/// exception).
[[nodiscard]] NormalizeStep lower_case_step();
/// Drops marks; put a decomposition before it. All marks, or only those that take no space of their own
/// (BERT).
enum class Marks : std::uint8_t { all, nonspacing };
[[nodiscard]] NormalizeStep strip_accents_step(Marks marks);
/// Drops white space at the ends of a text.
[[nodiscard]] NormalizeStep strip_step(bool left, bool right);
/// Drops characters of control, format and private use, and U+FFFD; white space becomes a space.
[[nodiscard]] NormalizeStep clean_text_step();
/// Puts a space on both sides of a Chinese character.
[[nodiscard]] NormalizeStep space_around_ideographs_step();

}  // namespace jlcm
