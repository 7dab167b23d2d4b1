#pragma once
// Documents made from declared options: plain text, Markdown, JSON Schema.

#include "core/spec/fields.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace jlcm {

/// One paragraph a field for the terminal, nested sections indented.
[[nodiscard]] std::string describe_fields(const std::vector<FieldDoc>& fields);

/// A Markdown table, one row a field; the fields of nested sections as "section.field".
[[nodiscard]] std::string markdown_table(const std::vector<FieldDoc>& fields);

/// `text` cut into lines of at most `width` characters, each behind `indent` spaces.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t indent, std::size_t width = 100);

/// A JSON Schema (draft 2020-12) object that takes exactly these fields. A plugin of kind X is {"$ref":
/// "#/$defs/X"}.
[[nodiscard]] nlohmann::ordered_json json_schema(const std::vector<FieldDoc>& fields);

}  // namespace jlcm
