#include "core/generate/prompt_format.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/formats/chat_templates.hpp"
#include "core/formats/gguf_tokenizer.hpp"
#include "core/formats/json.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

namespace jlcm {
namespace {

using nlohmann::json;

/// Control tokens that end a text for llama.cpp whatever a file's ids say (llama-vocab.cpp, special_eog_ids).
constexpr std::array known_ends{"<|eot_id|>",
                                "<|im_end|>",
                                "<|end|>",
                                "<end_of_turn>",
                                "<|endoftext|>",
                                "<|eom_id|>",
                                "<|end_of_text|>",
                                "<EOT>",
                                "</s>",
                                "<eos>",
                                "<|return|>",
                                "<|call|>",
                                "<|eot|>",
                                "<｜end▁of▁sentence｜>"};

constexpr std::array token_names{"bos_token", "eos_token", "unk_token", "sep_token",
                                 "pad_token", "cls_token", "mask_token"};

/// A member of an object; null where there is none.
const json& member(const json& object, const char* name) {
    static const json nothing;
    const auto found = object.is_object() ? object.find(name) : object.end();
    return object.is_object() && found != object.end() ? *found : nothing;
}

void add_id(std::vector<std::int32_t>& ids, const json& id, const Tokenizer& tokenizer) {
    if (!id.is_number_integer() || id < 0 || id >= tokenizer.vocabulary_size()) return;
    const auto number = id.get<std::int32_t>();
    if (std::ranges::count(ids, number) == 0) ids.push_back(number);
}

/// A number, a list of numbers, or nothing.
std::vector<std::int32_t> ids_of(const json& value, const Tokenizer& tokenizer) {
    std::vector<std::int32_t> ids;
    if (!value.is_array()) add_id(ids, value, tokenizer);
    if (value.is_array())
        for (const json& each : value) add_id(ids, each, tokenizer);
    return ids;
}

std::vector<std::int32_t> ends_of(const Checkpoint& model, const Tokenizer& tokenizer) {
    auto ids = ids_of(member(member(model.extra, "generation_config"), "eos_token_id"), tokenizer);
    if (ids.empty()) ids = ids_of(member(model.config, "eos_token_id"), tokenizer);
    return ids;
}

void read_gguf(PromptFormat& format, const Checkpoint& model, const Tokenizer& tokenizer) {
    const GgufTokenizer given = read_gguf_tokenizer(parse_json(model.tokenizer.data));
    for (std::size_t i = 0; i < given.tokens.size() && i < given.types.size(); ++i)
        if (given.types[i] == TokenType::control || given.types[i] == TokenType::user_defined)
            format.special.emplace(static_cast<std::int32_t>(i), given.tokens[i]);
    if (const auto bos = given.special_id("bos"); bos && given.add_bos.value_or(given.model == "llama"))
        format.begin = {*bos};
    format.begins_conversations = true;
    for (const char* name : {"eos", "eot", "eom"})
        if (const auto id = given.special_id(name)) add_id(format.ends, json(*id), tokenizer);
    for (const auto& [id, spelling] : format.special)
        if (std::ranges::count(known_ends, spelling) > 0) add_id(format.ends, json(id), tokenizer);
    constexpr std::array<std::pair<const char*, const char*>, 4> names{
        {{"bos", "bos_token"}, {"eos", "eos_token"}, {"unknown", "unk_token"}, {"padding", "pad_token"}}};
    for (const auto& [gguf_name, name] : names)
        if (const auto id = given.special_id(gguf_name))
            format.names[name] = given.tokens[static_cast<std::size_t>(*id)];
}

/// A token as tokenizer_config.json and special_tokens_map.json give it: spelt, or an object.
std::string spelling_of(const json& token) {
    const json& content = token.is_object() ? member(token, "content") : token;
    return content.is_string() ? content.get<std::string>() : "";
}

void read_names(PromptFormat& format, const Checkpoint& model) {
    json map;
    if (const auto file = model.files.find("special_tokens_map.json"); file != model.files.end())
        map = parse_json(file->second);
    const json& settings = member(model.extra, "tokenizer_config");
    for (const char* name : token_names)
        for (const json* source : {&settings, static_cast<const json*>(&map)})
            if (const std::string spelling = spelling_of(member(*source, name));
                !spelling.empty() && !format.names.contains(name))
                format.names[name] = spelling;
}

void read_huggingface(PromptFormat& format, const Checkpoint& model, const Tokenizer& tokenizer) {
    if (const auto bos = tokenizer.bos()) format.begin = {*bos};
    format.ends = ends_of(model, tokenizer);
    read_names(format, model);
    if (model.tokenizer.format != "tokenizer.json") return;
    const json file = parse_json(model.tokenizer.data);
    for (const json& token : member(file, "added_tokens"))
        if (member(token, "special") == true && member(token, "id").is_number_unsigned() &&
            member(token, "id") < tokenizer.vocabulary_size())
            format.special.emplace(member(token, "id").get<std::int32_t>(), spelling_of(token));
}

/// A name that the files do not say is that of the token that begins or ends a text.
void complete_names(PromptFormat& format, const Tokenizer& tokenizer) {
    const auto complete = [&](const char* name, std::optional<std::int32_t> id) {
        if (!id || format.names.contains(name)) return;
        const auto special = format.special.find(*id);
        const std::string spelling =
            special != format.special.end() ? special->second : tokenizer.decode(std::array{*id});
        if (!spelling.empty()) format.names[name] = spelling;
    };
    complete("bos_token", tokenizer.bos());
    complete("eos_token", format.ends.empty() ? std::nullopt : std::optional(format.ends.front()));
}

std::string template_of(const Checkpoint& model, const std::string& name) {
    const auto templates = chat_templates(model);
    std::vector<std::string> names;
    for (const auto& [each, content] : templates) names.push_back(each);
    const std::string known =
        names.empty() ? "the model has none" : fmt::format("the model has: {}", fmt::join(names, ", "));
    if (name.empty()) {
        if (const auto found = templates.find("default"); found != templates.end()) return found->second;
        if (templates.size() == 1) return templates.begin()->second;
        fail(
            "no chat template is the default ({}); name one with --template NAME or give a file with --template FILE, or "
            "leave --chat out to go on with the text itself",
            known);
    }
    if (const auto found = templates.find(name); found != templates.end()) return found->second;
    require(std::filesystem::exists(name), "'{}' is neither a chat template of the model ({}) nor a file",
            name, known);
    return read_file(name);
}

std::string template_name(const std::string& name) {
    return name.empty() ? "chat template" : name;
}

}  // namespace

PromptFormat prompt_format(const Checkpoint& model, const Tokenizer& tokenizer) {
    PromptFormat format;
    if (model.tokenizer.format == "gguf") {
        read_gguf(format, model, tokenizer);
    } else {
        read_huggingface(format, model, tokenizer);
    }
    if (const auto eos = tokenizer.eos(); eos && format.ends.empty()) format.ends = {*eos};
    complete_names(format, tokenizer);
    return format;
}

std::vector<std::int32_t> prompt_ids(const std::string& text, const PromptFormat& format,
                                     const Tokenizer& tokenizer) {
    auto ids = format.begin;
    const auto inside = tokenizer.encode(text);
    ids.insert(ids.end(), inside.begin(), inside.end());
    return ids;
}

ChatFormat::ChatFormat(const Checkpoint& model, PromptFormat format, const std::string& name,
                       nlohmann::ordered_json more)
    : format_(std::move(format)),
      template_(template_of(model, name), template_name(name)),
      more_(std::move(more)) {}

std::string ChatFormat::render(const nlohmann::ordered_json& messages, bool add_generation_prompt) const {
    nlohmann::ordered_json variables = {{"messages", messages},
                                        {"tools", nullptr},
                                        {"documents", nullptr},
                                        {"add_generation_prompt", add_generation_prompt}};
    variables.update(format_.names);
    variables.update(more_);
    return template_.render(variables);
}

std::string ChatFormat::text(const nlohmann::ordered_json& messages) const {
    return render(messages, true);
}

std::vector<std::int32_t> ChatFormat::ids(const std::string& text, const Tokenizer& tokenizer) const {
    auto ids = tokenizer.encode(text);
    const bool begins = ids.size() >= format_.begin.size() &&
                        std::equal(format_.begin.begin(), format_.begin.end(), ids.begin());
    if (format_.begins_conversations && !begins)
        ids.insert(ids.begin(), format_.begin.begin(), format_.begin.end());
    return ids;
}

std::vector<std::int32_t> ChatFormat::ends(const Tokenizer& tokenizer) const {
    auto ends = format_.ends;
    constexpr std::string_view mark = "an answer";
    std::string text;
    try {
        text = render(
            {{{"role", "user"}, {"content", "a question"}}, {{"role", "assistant"}, {"content", mark}}},
            false);
    } catch (const Error&) {
        return ends;  // the template refuses what the user did not ask for
    }
    const std::size_t at = text.rfind(mark);
    if (at == std::string::npos) return ends;
    std::string_view behind = std::string_view(text).substr(at + mark.size());
    while (behind.starts_with(' ') || behind.starts_with('\n')) behind.remove_prefix(1);
    for (const auto& [id, spelling] : format_.special)
        if (!spelling.empty() && behind.starts_with(spelling)) add_id(ends, json(id), tokenizer);
    return ends;
}

}  // namespace jlcm
