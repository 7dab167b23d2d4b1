#pragma once
// What plugins there are, in words: for --list, --describe, docs/reference.md and editors.

#include <string>
#include <string_view>

namespace jlcm {

/// Every kind with its plugins, one line each; of one kind only where `kind` is given. Throws on an unknown
/// kind.
[[nodiscard]] std::string list_plugins(std::string_view kind = {});

/// Everything about "kind.name", a kind, or a section: what it is, its source, each option with its type,
/// range, default and advice. Throws on an unknown name, with a suggestion.
[[nodiscard]] std::string describe(std::string_view what);

/// docs/reference.md: all sections, all kinds, all plugins.
[[nodiscard]] std::string reference_markdown();

/// JSON Schema (draft 2020-12) of a registered section, for editors: `# yaml-language-server: $schema=...`.
[[nodiscard]] std::string schema_json(std::string_view section);

}  // namespace jlcm
