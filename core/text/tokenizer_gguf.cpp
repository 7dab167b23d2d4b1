#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/formats/json.hpp"
#include "core/formats/sentencepiece_model.hpp"
#include "core/text/bpe_tokenizer.hpp"
#include "core/text/tokenizer_readers.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

namespace jlcm {

namespace {

using Json = nlohmann::json;

/// Values of tokenizer.ggml.token_type (the GGUF specification; the numbers are SentencePiece's).
enum TokenType : int { unknown = 2, control = 3, user_defined = 4 };

/// Whether llama.cpp looks for tokens of this type in a text (with parse_special).
bool is_looked_for(int type) {
    return type == unknown || type == control || type == user_defined;
}

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

const Json* find(const Json& metadata, const std::string& name) {
    const auto found = metadata.find("tokenizer.ggml." + name);
    return found == metadata.end() ? nullptr : &*found;
}

/// The value of a key that has to be there.
const Json& need(const Json& metadata, const std::string& name) {
    const Json* value = find(metadata, name);
    require(value != nullptr, "the key tokenizer.ggml.{} is missing: convert the model again", name);
    return *value;
}

std::vector<std::string> texts_of(const Json& metadata, const std::string& name) {
    const Json& list = need(metadata, name);
    require(list.is_array(), "tokenizer.ggml.{} is no array", name);
    std::vector<std::string> texts;
    for (const Json& value : list) {
        require(value.is_string(), "tokenizer.ggml.{} holds {}, which is not a string", name, value.dump());
        texts.push_back(value.get<std::string>());
    }
    return texts;
}

template <class Number>
std::vector<Number> numbers_of(const Json& metadata, const std::string& name) {
    const Json& list = need(metadata, name);
    require(list.is_array(), "tokenizer.ggml.{} is no array", name);
    std::vector<Number> numbers;
    for (const Json& value : list) {
        const bool fits = std::is_floating_point_v<Number>
                              ? value.is_number()
                              : value.is_number_integer() && value >= std::numeric_limits<Number>::min() &&
                                    value <= std::numeric_limits<Number>::max();
        require(fits, "tokenizer.ggml.{} holds {}, which is not a number of its kind", name, value.dump());
        numbers.push_back(value.get<Number>());
    }
    return numbers;
}

bool flag(const Json& metadata, const std::string& name, bool otherwise) {
    const Json* value = find(metadata, name);
    if (value == nullptr) return otherwise;
    require(value->is_boolean(), "tokenizer.ggml.{} is {}, not true or false", name, value->dump());
    return value->get<bool>();
}

std::string text_or(const Json& metadata, const std::string& name, const char* otherwise) {
    const Json* value = find(metadata, name);
    if (value == nullptr) return otherwise;
    require(value->is_string(), "tokenizer.ggml.{} is {}, not a string", name, value->dump());
    return value->get<std::string>();
}

/// The token that a key names, of `count`.
std::optional<std::int32_t> id_in(const Json& metadata, const std::string& name, std::size_t count) {
    const Json* value = find(metadata, name + "_token_id");
    if (value == nullptr) return std::nullopt;
    require(
        value->is_number_integer() && *value >= 0 && *value < count,
        "tokenizer.ggml.{}_token_id is {}, outside the {} tokens: remove the key if there is no such token",
        name, value->dump(), count);
    return value->get<std::int32_t>();
}

std::vector<int> token_types(const Json& metadata, std::size_t count) {
    if (find(metadata, "token_type") == nullptr) return std::vector<int>(count, 1);
    auto types = numbers_of<int>(metadata, "token_type");
    require(types.size() == count, "there are {} tokens but {} token types", count, types.size());
    return types;
}

std::vector<AddedToken> looked_for(const std::vector<std::string>& tokens, const std::vector<int>& types) {
    std::vector<AddedToken> added;
    for (std::size_t i = 0; i < types.size(); ++i)
        if (is_looked_for(types[i])) added.push_back({tokens[i], static_cast<std::int32_t>(i)});
    return added;
}

std::unique_ptr<Tokenizer> byte_level_from(const Json& metadata, std::string hash) {
    BpeDefinition definition;
    definition.byte_level = true;
    definition.tokens = texts_of(metadata, "tokens");
    for (const std::string& merge : texts_of(metadata, "merges"))
        definition.merges.push_back(split_merge(merge));
    definition.added = looked_for(definition.tokens, token_types(metadata, definition.tokens.size()));
    definition.overlap = Overlap::longest;

    if (find(metadata, "pre") == nullptr)
        log_warning(
            "the model names no pre-tokenizer (tokenizer.ggml.pre); using \"default\", which may be wrong");
    const PreTokenizer& pre = pre_tokenizer_named(text_or(metadata, "pre", "default"));
    for (const char* pattern : pre.patterns)
        definition.split.push_back(split_step(pattern, SplitBehavior::isolated));
    definition.ignore_merges = pre.ignore_merges;
    definition.bos = id_in(metadata, "bos", definition.tokens.size());
    definition.eos = id_in(metadata, "eos", definition.tokens.size());
    return std::make_unique<BpeTokenizer>(std::move(definition), std::move(hash));
}

std::unique_ptr<Tokenizer> sentencepiece_from(const Json& metadata, std::string hash) {
    SentencePieceModel model;
    model.pieces = texts_of(metadata, "tokens");
    model.scores = numbers_of<float>(metadata, "scores");
    const std::size_t count = model.pieces.size();
    model.types = token_types(metadata, count);
    require(model.scores.size() == count, "there are {} tokens but {} scores", count, model.scores.size());
    model.add_dummy_prefix = flag(metadata, "add_space_prefix", true);
    model.remove_extra_whitespaces = flag(metadata, "remove_extra_whitespaces", false);
    if (find(metadata, "precompiled_charsmap") != nullptr)
        for (const int byte : numbers_of<int>(metadata, "precompiled_charsmap"))
            model.precompiled_charsmap += static_cast<char>(byte);
    model.unknown_id = id_in(metadata, "unknown", count).value_or(0);
    model.bos_id = id_in(metadata, "bos", count).value_or(-1);
    model.eos_id = id_in(metadata, "eos", count).value_or(-1);
    model.pad_id = id_in(metadata, "padding", count).value_or(-1);
    return tokenizer_from_sentencepiece(serialized(model), std::move(hash),
                                        looked_for(model.pieces, model.types));
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(std::string_view data, std::string hash) {
    const Json metadata = parse_json(data);
    require(metadata.is_object(), "damaged: not a JSON object");
    (void)need(metadata, "model");
    const std::string model = text_or(metadata, "model", "");
    if (model == "gpt2") return byte_level_from(metadata, std::move(hash));
    if (model == "llama") return sentencepiece_from(metadata, std::move(hash));
    fail("the tokenizer model \"{}\" (tokenizer.ggml.model) is not implemented; there are gpt2 and llama",
         model);
}

}  // namespace jlcm
