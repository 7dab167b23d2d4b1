#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/formats/json.hpp"
#include "core/text/bpe_tokenizer.hpp"
#include "core/text/sentencepiece_model.hpp"
#include "core/text/tokenizer_readers.hpp"

#include <algorithm>
#include <array>

namespace jlcm {

namespace {

using Json = nlohmann::json;

/// Values of tokenizer.ggml.token_type (the GGUF specification; the numbers are SentencePiece's).
enum TokenType : int { control = 3, user_defined = 4 };

/// What tokenizer.ggml.pre names: patterns that split the text one after the other, and whether whole words
/// that are tokens stay whole. The patterns are those of the models' own tokenizer.json.
struct PreTokenizer {
    std::vector<std::string_view> names;
    std::vector<const char*> patterns;
    bool ignore_merges = false;
};

const std::vector<PreTokenizer>& pre_tokenizers() {
    static const char* const llama3 =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    static const char* const qwen2 =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    static const std::vector<PreTokenizer> known = {
        {{"gpt-2", "phi-2", "mpt", "olmo", "roberta-bpe"}, {gpt2_pattern}},
        {{"smollm", "starcoder", "refact", "command-r", "codeshell"}, {R"(\p{N})", gpt2_pattern}},
        {{"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral-bpe"}, {llama3}, true},
        {{"smaug-bpe", "dbrx"}, {llama3}},
        {{"qwen2", "deepseek-r1-qwen"}, {qwen2}},
        // What llama.cpp falls back to where a file names none.
        {{"default"}, {R"([\p{P}\$\+<=>\^~\|]+)", gpt2_pattern, R"(\p{N}+)", R"([0-9][0-9][0-9])"}},
    };
    return known;
}

const PreTokenizer& pre_tokenizer_named(const std::string& name) {
    std::string all;
    for (const PreTokenizer& known : pre_tokenizers()) {
        if (std::find(known.names.begin(), known.names.end(), name) != known.names.end()) return known;
        all += fmt::format("{}{}", all.empty() ? "" : ", ", fmt::join(known.names, ", "));
    }
    fail("the pre-tokenizer \"{}\" (tokenizer.ggml.pre) is not implemented; there are {}", name, all);
}

template <class Value>
Value member(const Json& metadata, const std::string& name, Value fallback) {
    const auto found = metadata.find("tokenizer.ggml." + name);
    return found == metadata.end() ? fallback : found->get<Value>();
}

std::optional<std::int32_t> id_member(const Json& metadata, const std::string& name) {
    const auto found = metadata.find("tokenizer.ggml." + name + "_token_id");
    return found == metadata.end() ? std::nullopt : std::optional(found->get<std::int32_t>());
}

std::vector<int> token_types(const Json& metadata, std::size_t count) {
    auto types = member<std::vector<int>>(metadata, "token_type", std::vector<int>(count, 1));
    require(types.size() == count, "there are {} tokens but {} token types", count, types.size());
    return types;
}

std::unique_ptr<Tokenizer> byte_level_from(const Json& metadata, std::string hash) {
    BpeDefinition definition;
    definition.byte_level = true;
    definition.tokens = metadata.at("tokenizer.ggml.tokens").get<std::vector<std::string>>();
    for (const Json& merge : metadata.at("tokenizer.ggml.merges"))
        definition.merges.push_back(split_merge(merge.get<std::string>()));

    const auto types = token_types(metadata, definition.tokens.size());
    for (std::size_t i = 0; i < types.size(); ++i)
        if (types[i] == control || types[i] == user_defined)
            definition.added.push_back({definition.tokens[i], static_cast<std::int32_t>(i)});

    if (!metadata.contains("tokenizer.ggml.pre"))
        log_warning(
            "the model names no pre-tokenizer (tokenizer.ggml.pre); using \"default\", which may be wrong");
    const PreTokenizer& pre = pre_tokenizer_named(member<std::string>(metadata, "pre", "default"));
    for (const char* pattern : pre.patterns)
        definition.split.push_back(split_step(pattern, SplitBehavior::isolated));
    definition.ignore_merges = pre.ignore_merges;
    definition.bos = id_member(metadata, "bos");
    definition.eos = id_member(metadata, "eos");
    return std::make_unique<BpeTokenizer>(std::move(definition), std::move(hash));
}

std::unique_ptr<Tokenizer> sentencepiece_from(const Json& metadata, std::string hash) {
    SentencePieceModel model;
    model.pieces = metadata.at("tokenizer.ggml.tokens").get<std::vector<std::string>>();
    model.scores = metadata.at("tokenizer.ggml.scores").get<std::vector<float>>();
    model.types = token_types(metadata, model.pieces.size());
    require(model.scores.size() == model.pieces.size(), "there are {} tokens but {} scores",
            model.pieces.size(), model.scores.size());
    model.add_dummy_prefix = member(metadata, "add_space_prefix", true);
    model.remove_extra_whitespaces = member(metadata, "remove_extra_whitespaces", false);
    for (const unsigned byte : member<std::vector<unsigned>>(metadata, "precompiled_charsmap", {}))
        model.precompiled_charsmap += static_cast<char>(byte);
    model.unknown_id = id_member(metadata, "unknown").value_or(0);
    model.bos_id = id_member(metadata, "bos").value_or(-1);
    model.eos_id = id_member(metadata, "eos").value_or(-1);
    model.pad_id = id_member(metadata, "padding").value_or(-1);
    return tokenizer_from_sentencepiece(serialized(model), std::move(hash));
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(std::string_view data, std::string hash) {
    const Json metadata = parse_json(data);
    const auto model = metadata.at("tokenizer.ggml.model").get<std::string>();
    if (model == "gpt2") return byte_level_from(metadata, std::move(hash));
    if (model == "llama") return sentencepiece_from(metadata, std::move(hash));
    fail("the tokenizer model \"{}\" (tokenizer.ggml.model) is not implemented; there are gpt2 and llama",
         model);
}

}  // namespace jlcm
