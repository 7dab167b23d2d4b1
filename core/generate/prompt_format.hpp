#pragma once
// How a model's files want it to be prompted: what begins a text, what ends one, and how a conversation is written.

#include "core/base/json.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/text/chat_template.hpp"
#include "core/text/tokenizer.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace jlcm {

struct PromptFormat {
    /// Tokens in front of a text: of a Hugging Face folder what its post-processor puts there, of a GGUF file what
    /// llama.cpp does.
    std::vector<std::int32_t> begin;
    /// Tokens that end a text: eos_token_id of generation_config.json, or else of config.json; of a GGUF file its ids
    /// eos, eot and eom, and the control tokens that llama.cpp knows by their spelling; or else the tokenizer's.
    std::vector<std::int32_t> ends;
    /// The special tokens by id, as they are spelt.
    std::map<std::int32_t, std::string> special;
    /// What templates know the special tokens by: "bos_token": "<s>", ...
    nlohmann::ordered_json names = nlohmann::ordered_json::object();
    /// Whether `begin` also stands in front of a conversation whose template does not begin with it (GGUF).
    bool begins_conversations = false;
};

/// `tokenizer` is that of `model`.
[[nodiscard]] PromptFormat prompt_format(const Checkpoint& model, const Tokenizer& tokenizer);

/// The ids of a text that is gone on with.
[[nodiscard]] std::vector<std::int32_t> prompt_ids(const std::string& text, const PromptFormat& format,
                                                   const Tokenizer& tokenizer);

/// Conversations as a template writes them.
class ChatFormat {
  public:
    /// The template of that name among the model's, or in the file of that name; without a name "default", or the only
    /// one. `more`: further variables of the template. An input error lists the names there are.
    ChatFormat(const Checkpoint& model, PromptFormat format, const std::string& name,
               nlohmann::ordered_json more);

    /// `messages`: a list of {"role", "content"}; the text ends where the assistant's answer begins.
    [[nodiscard]] std::string text(const nlohmann::ordered_json& messages) const;
    /// The ids of that text; tokens that the template writes out are tokens.
    [[nodiscard]] std::vector<std::int32_t> ids(const std::string& text, const Tokenizer& tokenizer) const;
    /// The tokens that end a text, and the special one that the template puts behind an assistant's message.
    [[nodiscard]] std::vector<std::int32_t> ends(const Tokenizer& tokenizer) const;

  private:
    [[nodiscard]] std::string render(const nlohmann::ordered_json& messages,
                                     bool add_generation_prompt) const;

    PromptFormat format_;
    ChatTemplate template_;
    nlohmann::ordered_json more_;
};

}  // namespace jlcm
