#include "core/base/error.hpp"
#include "core/formats/chat_templates.hpp"
#include "core/formats/gguf_pre_tokenizer.hpp"
#include "core/formats/gguf_tokenizer.hpp"
#include "core/formats/json.hpp"
#include "core/formats/tokenizer_conversion.hpp"
#include "core/formats/tokenizer_parts.hpp"

#include <array>
#include <cstdint>
#include <utility>

#include <sentencepiece_processor.h>

namespace jlcm {
namespace {

using nlohmann::json;
using Files = std::map<std::string, std::string>;

json added_tokens(const GgufTokenizer& source) {
    json added = json::array();
    for (std::size_t id = 0; id < source.tokens.size(); ++id) {
        const TokenType type = source.types[id];
        const bool special = type == TokenType::control || type == TokenType::unknown;
        if (special || type == TokenType::user_defined)
            added.push_back(added_token(id, source.tokens[id], special));
    }
    return added;
}

/// Puts the first and the last token around a text if the file says so.
json post_processor(const GgufTokenizer& source) {
    json single = json::array({{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}});
    json tokens = json::object();
    const auto token = [&](const char* name) {
        const auto id = source.special_id(name);
        require(id.has_value(), "the tokenizer adds a token '{}' to texts and does not say which", name);
        const std::string& text = source.tokens[static_cast<std::size_t>(*id)];
        tokens[text] = {{"id", text}, {"ids", json::array({*id})}, {"tokens", json::array({text})}};
        return json{{"SpecialToken", {{"id", text}, {"type_id", 0}}}};
    };
    if (source.add_bos.value_or(false)) single.insert(single.begin(), token("bos"));
    if (source.add_eos.value_or(false)) single.push_back(token("eos"));
    if (tokens.empty()) return byte_level(false, true);
    json pair = single;
    pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
    return {{"type", "TemplateProcessing"},
            {"single", std::move(single)},
            {"pair", std::move(pair)},
            {"special_tokens", std::move(tokens)}};
}

std::string tokenizer_json(const GgufTokenizer& source) {
    const GgufPreTokenizer& pre = gguf_pre_tokenizer(source.pre.value_or("default"));
    json vocabulary = json::object();
    for (std::size_t id = 0; id < source.tokens.size(); ++id) {
        if (source.types[id] == TokenType::unused) continue;
        require(!vocabulary.contains(source.tokens[id]), "the token '{}' appears twice", source.tokens[id]);
        vocabulary[source.tokens[id]] = id;
    }
    json model = byte_pair_model(std::move(vocabulary), source.merges);
    model["ignore_merges"] = pre.ignore_merges;
    json result = tokenizer_with_model(std::move(model));
    result["added_tokens"] = added_tokens(source);
    result["pre_tokenizer"] = pre_tokenizer_steps(pre);
    result["post_processor"] = post_processor(source);
    result["decoder"] = byte_level(false, true);
    return result.dump(1);
}

/// tokenizer.model, as far as LlamaTokenizer, which reads it, keeps to what it says.
std::string tokenizer_model(const GgufTokenizer& source) {
    require(
        source.precompiled_charsmap.empty(),
        "the tokenizer normalises characters (tokenizer.ggml.precompiled_charsmap), which no tokenizer for "
        "Hugging Face that jlcm writes does; export the model's own folder instead");
    require(
        !source.remove_extra_whitespaces,
        "the tokenizer leaves out spaces (tokenizer.ggml.remove_extra_whitespaces), which no tokenizer for "
        "Hugging Face that jlcm writes does; export the model's own folder instead");
    std::string bytes = serialized(sentencepiece_model(source));
    sentencepiece::SentencePieceProcessor processor;
    require(processor.LoadFromSerializedProto(bytes).ok(),
            "the tokenizer's pieces do not make a valid SentencePiece model");
    return bytes;
}

/// tokenizer_config.json for a tokenizer that came without one.
std::string tokenizer_config(const GgufTokenizer& source, const Checkpoint& model,
                             const char* tokenizer_class) {
    json result{{"tokenizer_class", tokenizer_class},
                {"add_bos_token", source.add_bos.value_or(source.model == "llama")},
                {"add_eos_token", source.add_eos.value_or(false)},
                {"clean_up_tokenization_spaces", false}};
    if (source.model != "gpt2") {
        result["add_prefix_space"] = sentencepiece_model(source).add_dummy_prefix;
        // Legacy is a space before each part of a text between added tokens.
        result["legacy"] = !source.sentencepiece_rules;
    }
    constexpr std::array<std::pair<const char*, const char*>, 7> names{{
        {"bos", "bos_token"},
        {"eos", "eos_token"},
        {"unknown", "unk_token"},
        {"padding", "pad_token"},
        {"seperator", "sep_token"},
        {"cls", "cls_token"},
        {"mask", "mask_token"},
    }};
    for (const auto& [name, key] : names)
        if (const auto id = source.special_id(name))
            result[key] = source.tokens[static_cast<std::size_t>(*id)];
    for (const json& token : added_tokens(source)) {
        json entry = token;
        entry.erase("id");
        result["added_tokens_decoder"][token.at("id").dump()] = std::move(entry);
    }
    const auto templates = chat_templates(model);
    if (templates.size() == 1 && templates.contains("default")) {
        result["chat_template"] = templates.at("default");
    } else {
        for (const auto& [name, content] : templates)
            result["chat_template"].push_back({{"name", name}, {"template", content}});
    }
    return result.dump(2);
}

Files files_from_gguf(const Checkpoint& model) {
    const GgufTokenizer source = read_gguf_tokenizer(parse_json(model.tokenizer.data));
    if (source.model == "gpt2")
        return {{"tokenizer.json", tokenizer_json(source)},
                {"tokenizer_config.json", tokenizer_config(source, model, "PreTrainedTokenizerFast")}};
    require(source.model == "llama" || source.model == "t5",
            "the GGUF tokenizer model '{}' cannot be written for Hugging Face", source.model);
    return {{"tokenizer.model", tokenizer_model(source)},
            {"tokenizer_config.json", tokenizer_config(source, model, "LlamaTokenizer")}};
}

}  // namespace

Files huggingface_tokenizer(const Checkpoint& model) {
    if (!model.files.empty()) return model.files;
    const TokenizerSource& source = model.tokenizer;
    if (source.format == "gguf") return files_from_gguf(model);
    Files files;  // of an artifact that holds no files: an older version made it
    if (source.format == "tokenizer.json") files["tokenizer.json"] = source.data;
    if (source.format == "sentencepiece") files["tokenizer.model"] = source.data;
    for (const auto* name : {"tokenizer_config", "generation_config"})
        if (model.extra.contains(name))
            files[fmt::format("{}.json", name)] = model.extra.at(name).dump(2) + "\n";
    return files;
}

}  // namespace jlcm
