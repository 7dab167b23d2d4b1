#pragma once
// A template's source as tokens, white space controlled as transformers sets it up (trim_blocks and
// lstrip_blocks, no newline kept at the end).

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm::jinja {

enum class TokenKind : std::uint8_t {
    data,         ///< text outside of tags
    print_begin,  ///< {{
    print_end,
    block_begin,  ///< {%
    block_end,
    name,
    text,      ///< a string literal, its escapes resolved
    integer,   ///< decimal, hexadecimal, octal or binary, without underscores
    floating,  ///< without underscores
    symbol,
    end,
};

struct Token {
    TokenKind kind = TokenKind::end;
    std::string text;
    std::size_t at = 0;  ///< offset in the source
};

/// As Jinja reads it: newlines of all kinds are "\n", and the last one is left out.
[[nodiscard]] std::string normalized_source(std::string_view source);

/// The tokens of a normalised source; the last is `end`. Comments are left out. Throws Problem.
[[nodiscard]] std::vector<Token> tokenize_template(std::string_view source);

}  // namespace jlcm::jinja
