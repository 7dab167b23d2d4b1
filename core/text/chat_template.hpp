#pragma once
// Chat templates: what a model's files say of how a conversation becomes one text, in the part of Jinja that
// Hugging Face's templates are written in. A template makes what transformers' apply_chat_template makes of it
// (version 4.53, jinja2 3.1), or is refused by name, with line and column.

#include "core/base/json.hpp"
#include "core/text/jinja/syntax.hpp"

#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>

namespace jlcm {

/// Templates come from strangers.
struct TemplateLimits {
    std::int64_t work = std::int64_t{1} << 28;  ///< bytes that all steps together may make
    std::size_t output = std::size_t{1} << 24;  ///< bytes of the text
};

/// A template that was read. Not implemented, and refused: include, import, extends, call, recursive loops, cycler,
/// joiner, formatting by "%", keys of mappings that are no strings, whole numbers beyond 64 bits, methods that change
/// a value (as the sandbox of transformers does), and filters, tests and methods that templates do not use.
class ChatTemplate {
  public:
    /// `name` is put before messages: where the template comes from. Input errors: syntax, what is not
    /// implemented, more than a megabyte.
    ChatTemplate(const std::string& source, std::string name);

    /// The text of `variables` (an object: messages, add_generation_prompt, bos_token, tools, ...). Input errors:
    /// what the template itself refuses (raise_exception), what does not exist, limits. `now` is for
    /// strftime_now; by default the present time.
    [[nodiscard]] std::string render(const nlohmann::ordered_json& variables,
                                     std::optional<std::time_t> now = std::nullopt,
                                     const TemplateLimits& limits = {}) const;

    [[nodiscard]] const std::string& name() const { return name_; }

  private:
    std::string name_;
    std::string source_;
    std::shared_ptr<const jinja::Body> body_;
};

}  // namespace jlcm
