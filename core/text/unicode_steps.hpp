#pragma once
// Normalisers that know Unicode's characters, as in the Hugging Face `tokenizers` library.

#include "core/text/pre_tokenizer.hpp"

#include <cstdint>

namespace jlcm {

/// Unicode Standard Annex 15.
enum class NormalForm : std::uint8_t { nfc, nfd, nfkc, nfkd };
[[nodiscard]] NormalizeStep normal_form_step(NormalForm form);

[[nodiscard]] NormalizeStep lower_case_step();
/// Drops marks that take no space of their own; put a decomposition before it.
[[nodiscard]] NormalizeStep strip_accents_step();
/// Drops characters of control, format and private use, and U+FFFD; white space becomes a space.
[[nodiscard]] NormalizeStep clean_text_step();
/// Puts a space on both sides of a Chinese character.
[[nodiscard]] NormalizeStep space_around_ideographs_step();

}  // namespace jlcm
