#include "core/formats/tokenizer_conversion.hpp"

#include "core/base/error.hpp"
#include "core/formats/json.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <sentencepiece_processor.h>

namespace jlcm {
namespace {

using nlohmann::json;

/// llama.cpp, llama.h, enum llama_token_type.
enum TokenType { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// How a byte-level BPE cuts text before merging: llama.cpp's name for it, and tokenizer.json's steps.
struct PreTokenizer {
    const char* name;
    const char* steps;
    bool ignore_merges;  ///< a piece that is a token needs no merges
};

constexpr std::array pre_tokenizers{
    PreTokenizer{
        "gpt-2",
        R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})",
        false},
    PreTokenizer{"smollm", R"({"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": true},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]})",
                 false},
    PreTokenizer{"llama-bpe", R"re({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex":
         "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})re",
                 true},
};

GgufValue scalar(GgufType type, json value) {
    return {type, GgufType::u32, std::move(value)};
}
GgufValue array(GgufType element, json values) {
    return {GgufType::array, element, std::move(values)};
}

bool has(const json& object, const char* key) {
    return object.is_object() && object.contains(key) && !object.at(key).is_null();
}

bool flag(const json& object, const char* key, bool otherwise) {
    return has(object, key) && object.at(key).is_boolean() ? object.at(key).get<bool>() : otherwise;
}

const json& part(const json& object, const char* key, json::value_t type) {
    require(has(object, key) && object.at(key).type() == type,
            "the tokenizer has no '{}' of the expected type", key);
    return object.at(key);
}

/// "tokenizer.ggml.bos_token_id" and so on from the configuration; Hugging Face may list several ends.
void add_special_ids(GgufMetadata& metadata, const json& config) {
    constexpr std::array<std::pair<const char*, const char*>, 3> ids{{
        {"bos_token_id", "tokenizer.ggml.bos_token_id"},
        {"eos_token_id", "tokenizer.ggml.eos_token_id"},
        {"pad_token_id", "tokenizer.ggml.padding_token_id"},
    }};
    for (const auto& [from, to] : ids) {
        if (!has(config, from)) continue;
        const json& id = config.at(from).is_array() && !config.at(from).empty() ? config.at(from).front()
                                                                                : config.at(from);
        if (id.is_number_integer() && id >= 0) metadata.emplace_back(to, scalar(GgufType::u32, id));
    }
}

// GGUF from each source.

/// A GGUF file's keys went through JSON: their types follow from the key or the value.
GgufValue typed_value(const std::string& key, const json& value) {
    if (value.is_array()) {
        if (key == "tokenizer.ggml.scores") return array(GgufType::f32, value);
        const bool strings = !value.empty() && value.front().is_string();
        return array(strings ? GgufType::string : GgufType::i32, value);
    }
    if (value.is_string()) return scalar(GgufType::string, value);
    if (value.is_boolean()) return scalar(GgufType::boolean, value);
    if (value.is_number_float()) return scalar(GgufType::f32, value);
    return scalar(value.is_number_unsigned() ? GgufType::u32 : GgufType::i32, value);
}

GgufMetadata from_gguf_keys(const json& keys) {
    GgufMetadata metadata;
    for (const auto& [key, value] : keys.items()) metadata.emplace_back(key, typed_value(key, value));
    return metadata;
}

/// The steps without what doesn't change ids.
json normalize_steps(json steps) {
    if (has(steps, "pretokenizers"))
        for (auto& step : steps["pretokenizers"]) step = normalize_steps(step);
    if (steps.is_object() && steps.value("type", json()) == "ByteLevel") {
        steps.erase("trim_offsets");
        if (!steps.contains("use_regex")) steps["use_regex"] = true;
    }
    return steps;
}

std::string pre_tokenizer_name(const json& steps) {
    for (const auto& known : pre_tokenizers)
        if (normalize_steps(json::parse(known.steps)) == steps) return known.name;
    fail("GGUF has no name that jlcm knows for the pre-tokenizer {}", steps.dump());
}

bool starts_with_special_token(const json& tokenizer) {
    if (!has(tokenizer, "post_processor")) return false;
    const json& processor = tokenizer.at("post_processor");
    if (processor.value("type", json()) == "Sequence" && has(processor, "processors")) {
        for (const auto& one : processor.at("processors"))
            if (starts_with_special_token({{"post_processor", one}})) return true;
        return false;
    }
    return has(processor, "single") && processor.at("single").is_array() && !processor.at("single").empty() &&
           has(processor.at("single").front(), "SpecialToken");
}

/// Tokens by id with their types, from a tokenizer.json of a byte-level BPE.
GgufMetadata from_tokenizer_json(const json& tokenizer, std::int64_t vocabulary) {
    const json& model = part(tokenizer, "model", json::value_t::object);
    require(model.value("type", json()) == "BPE" && !flag(model, "byte_fallback", false),
            "only a byte-level BPE tokenizer.json can be written to GGUF; put the tokenizer.model beside it");
    require(!has(tokenizer, "normalizer"), "GGUF cannot express the tokenizer's normalizer");

    std::vector<std::string> tokens(static_cast<std::size_t>(vocabulary));
    std::vector<int> types(tokens.size(), TokenType::unused);
    const auto place = [&](const json& id, const std::string& token, TokenType type) {
        require(id.is_number_unsigned() && id < vocabulary, "the id {} of token '{}' is not below {}",
                id.dump(), token, vocabulary);
        tokens[id.get<std::size_t>()] = token;
        types[id.get<std::size_t>()] = type;
    };
    for (const auto& [token, id] : part(model, "vocab", json::value_t::object).items())
        place(id, token, TokenType::normal);
    if (has(tokenizer, "added_tokens"))
        for (const auto& added : tokenizer.at("added_tokens"))
            place(part(added, "id", json::value_t::number_unsigned),
                  part(added, "content", json::value_t::string).get<std::string>(),
                  flag(added, "special", false) ? TokenType::control : TokenType::user_defined);
    for (std::size_t id = 0; id < tokens.size(); ++id)
        if (types[id] == TokenType::unused) tokens[id] = fmt::format("[PAD{}]", id);

    json merges = json::array();
    for (const auto& merge : part(model, "merges", json::value_t::array)) {
        const bool pair =
            merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
        require(pair || merge.is_string(), "the merge {} is neither a string nor a pair of strings",
                merge.dump());
        merges.push_back(pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                              : merge.get<std::string>());
    }
    const json steps = normalize_steps(tokenizer.value("pre_tokenizer", json()));
    return {
        {"tokenizer.ggml.model", scalar(GgufType::string, "gpt2")},
        {"tokenizer.ggml.pre", scalar(GgufType::string, pre_tokenizer_name(steps))},
        {"tokenizer.ggml.tokens", array(GgufType::string, tokens)},
        {"tokenizer.ggml.token_type", array(GgufType::i32, types)},
        {"tokenizer.ggml.merges", array(GgufType::string, merges)},
        {"tokenizer.ggml.add_bos_token", scalar(GgufType::boolean, starts_with_special_token(tokenizer))},
    };
}

TokenType type_of(const sentencepiece::SentencePieceProcessor& processor, int id) {
    if (processor.IsUnknown(id)) return TokenType::unknown;
    if (processor.IsControl(id)) return TokenType::control;
    if (processor.IsByte(id)) return TokenType::byte;
    return processor.IsUnused(id) ? TokenType::unused : TokenType::normal;
}

GgufMetadata from_sentencepiece(const std::string& model, const json& extra, std::int64_t vocabulary) {
    sentencepiece::SentencePieceProcessor processor;
    require(processor.LoadFromSerializedProto(model).ok(), "tokenizer.model is not a SentencePiece model");
    const int pieces = processor.GetPieceSize();
    require(pieces <= vocabulary, "tokenizer.model has {} pieces for a vocabulary of {}", pieces, vocabulary);
    json tokens = json::array();
    json scores = json::array();
    json types = json::array();
    for (int id = 0; id < vocabulary; ++id) {
        const bool there = id < pieces;
        tokens.push_back(there ? processor.IdToPiece(id) : fmt::format("[PAD{}]", id));
        scores.push_back(there ? processor.GetScore(id) : 0.0F);
        types.push_back(static_cast<int>(there ? type_of(processor, id) : TokenType::unused));
    }
    std::vector<std::string> example;
    require(processor.Encode("a", &example).ok(), "tokenizer.model cannot encode");
    const bool space_prefix = !example.empty() && example.front().starts_with("\xE2\x96\x81");
    const json settings = extra.value("tokenizer_config", json());
    return {
        {"tokenizer.ggml.model", scalar(GgufType::string, "llama")},
        {"tokenizer.ggml.pre", scalar(GgufType::string, "default")},
        {"tokenizer.ggml.tokens", array(GgufType::string, tokens)},
        {"tokenizer.ggml.scores", array(GgufType::f32, scores)},
        {"tokenizer.ggml.token_type", array(GgufType::i32, types)},
        {"tokenizer.ggml.add_bos_token", scalar(GgufType::boolean, flag(settings, "add_bos_token", true))},
        {"tokenizer.ggml.add_eos_token", scalar(GgufType::boolean, flag(settings, "add_eos_token", false))},
        {"tokenizer.ggml.add_space_prefix", scalar(GgufType::boolean, space_prefix)},
    };
}

// Hugging Face files from GGUF keys.

struct GgufTokens {
    std::vector<std::string> tokens;
    std::vector<int> types;
};

GgufTokens read_tokens(const json& keys) {
    GgufTokens result;
    for (const auto& token : part(keys, "tokenizer.ggml.tokens", json::value_t::array)) {
        require(token.is_string(), "the token {} is not a string", token.dump());
        result.tokens.push_back(token.get<std::string>());
    }
    result.types.assign(result.tokens.size(), TokenType::normal);
    if (!has(keys, "tokenizer.ggml.token_type")) return result;
    const json& types = part(keys, "tokenizer.ggml.token_type", json::value_t::array);
    require(types.size() == result.tokens.size(), "{} token types for {} tokens", types.size(),
            result.tokens.size());
    for (std::size_t id = 0; id < result.types.size(); ++id) {
        require(types[id].is_number_integer(), "the token type {} is not a whole number", types[id].dump());
        result.types[id] = types[id].get<int>();
    }
    return result;
}

std::string tokenizer_json(const json& keys) {
    const auto name = part(keys, "tokenizer.ggml.pre", json::value_t::string).get<std::string>();
    const PreTokenizer* known = nullptr;
    for (const auto& one : pre_tokenizers)
        if (one.name == name) known = &one;
    require(known != nullptr, "the pre-tokenizer '{}' cannot be written as tokenizer.json", name);

    const GgufTokens source = read_tokens(keys);
    json vocabulary = json::object();
    json added = json::array();
    for (std::size_t id = 0; id < source.tokens.size(); ++id) {
        if (source.types[id] == TokenType::unused) continue;
        const std::string& token = source.tokens[id];
        require(!vocabulary.contains(token), "the token '{}' appears twice", token);
        vocabulary[token] = id;
        const bool special = source.types[id] == TokenType::control || source.types[id] == TokenType::unknown;
        if (special || source.types[id] == TokenType::user_defined)
            added.push_back({{"id", id},
                             {"content", token},
                             {"single_word", false},
                             {"lstrip", false},
                             {"rstrip", false},
                             {"normalized", false},
                             {"special", special}});
    }
    const json byte_level{
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
    json processor = byte_level;
    if (flag(keys, "tokenizer.ggml.add_bos_token", false)) {
        const auto id =
            part(keys, "tokenizer.ggml.bos_token_id", json::value_t::number_unsigned).get<std::size_t>();
        require(id < source.tokens.size(), "bos_token_id {} is not a token", id);
        const std::string& bos = source.tokens[id];
        const json first{{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
        const json text{{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
        const json second{{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
        processor = {{"type", "TemplateProcessing"},
                     {"single", json::array({first, text})},
                     {"pair", json::array({first, text, second})},
                     {"special_tokens",
                      {{bos, {{"id", bos}, {"ids", json::array({id})}, {"tokens", json::array({bos})}}}}}};
    }
    const json result{
        {"version", "1.0"},
        {"truncation", nullptr},
        {"padding", nullptr},
        {"added_tokens", added},
        {"normalizer", nullptr},
        {"pre_tokenizer", json::parse(known->steps)},
        {"post_processor", processor},
        {"decoder", byte_level},
        {"model",
         {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", known->ignore_merges},
          {"vocab", vocabulary},
          {"merges", part(keys, "tokenizer.ggml.merges", json::value_t::array)}}},
    };
    return result.dump(1);
}

/// Protocol buffers' wire format, as far as sentencepiece_model.proto needs it.
class Message {
  public:
    void number(unsigned field, std::uint64_t value) {
        varint(field << 3);
        varint(value);
    }
    void real(unsigned field, float value) {
        varint((field << 3) | 5U);
        std::array<char, sizeof value> raw{};
        std::memcpy(raw.data(), &value, sizeof value);
        bytes_.append(raw.data(), raw.size());
    }
    void text(unsigned field, std::string_view value) {
        varint((field << 3) | 2U);
        varint(value.size());
        bytes_ += value;
    }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

  private:
    void varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7F) | 0x80);
        bytes_ += static_cast<char>(value);
    }
    std::string bytes_;
};

/// A SentencePiece BPE model (sentencepiece_model.proto) of the pieces and scores that GGUF keeps.
std::string sentencepiece_model(const json& keys) {
    const GgufTokens source = read_tokens(keys);
    const json& scores = part(keys, "tokenizer.ggml.scores", json::value_t::array);
    require(scores.size() == source.tokens.size(), "{} scores for {} tokens", scores.size(),
            source.tokens.size());
    Message model;
    Message trainer;
    bool byte_fallback = false;
    for (std::size_t id = 0; id < source.tokens.size(); ++id) {
        require(scores[id].is_number(), "the score {} is not a number", scores[id].dump());
        Message piece;
        piece.text(1, source.tokens[id]);
        piece.real(2, scores[id].get<float>());
        piece.number(3, static_cast<std::uint64_t>(source.types[id]));
        model.text(1, piece.bytes());
        byte_fallback = byte_fallback || source.types[id] == TokenType::byte;
        if (source.types[id] == TokenType::unknown) trainer.number(40, id);
    }
    constexpr unsigned bpe = 2;
    trainer.number(3, bpe);
    trainer.number(4, source.tokens.size());
    trainer.number(35, byte_fallback ? 1 : 0);
    for (const auto& [field, key] :
         {std::pair{41U, "tokenizer.ggml.bos_token_id"}, std::pair{42U, "tokenizer.ggml.eos_token_id"}})
        if (has(keys, key) && keys.at(key).is_number_unsigned())
            trainer.number(field, keys.at(key).get<std::uint64_t>());
    Message normalizer;
    normalizer.text(1, "identity");
    normalizer.number(3, flag(keys, "tokenizer.ggml.add_space_prefix", true) ? 1 : 0);
    normalizer.number(4, 0);  // extra white space stays
    normalizer.number(5, 1);  // spaces become U+2581
    model.text(2, trainer.bytes());
    model.text(3, normalizer.bytes());

    sentencepiece::SentencePieceProcessor processor;
    require(processor.LoadFromSerializedProto(model.bytes()).ok(),
            "the tokenizer's pieces do not make a valid SentencePiece model");
    return model.bytes();
}

/// tokenizer_config.json for a tokenizer that came without one.
std::string tokenizer_config(const json& keys, const json& extra, const char* tokenizer_class) {
    const json& tokens = part(keys, "tokenizer.ggml.tokens", json::value_t::array);
    json result{{"tokenizer_class", tokenizer_class},
                {"add_bos_token", flag(keys, "tokenizer.ggml.add_bos_token", false)},
                {"clean_up_tokenization_spaces", false}};
    constexpr std::array<std::pair<const char*, const char*>, 4> names{{
        {"tokenizer.ggml.bos_token_id", "bos_token"},
        {"tokenizer.ggml.eos_token_id", "eos_token"},
        {"tokenizer.ggml.unknown_token_id", "unk_token"},
        {"tokenizer.ggml.padding_token_id", "pad_token"},
    }};
    for (const auto& [key, name] : names)
        if (has(keys, key) && keys.at(key).is_number_unsigned() && keys.at(key) < tokens.size())
            result[name] = tokens[keys.at(key).get<std::size_t>()];
    if (has(extra, "chat_template")) result["chat_template"] = extra.at("chat_template");
    return result.dump(2);
}

std::map<std::string, std::string> huggingface_files(const json& keys, const json& extra) {
    const auto model = part(keys, "tokenizer.ggml.model", json::value_t::string).get<std::string>();
    if (model == "gpt2")
        return {{"tokenizer.json", tokenizer_json(keys)},
                {"tokenizer_config.json", tokenizer_config(keys, extra, "PreTrainedTokenizerFast")}};
    require(model == "llama", "the GGUF tokenizer model '{}' cannot be written for Hugging Face", model);
    return {{"tokenizer.model", sentencepiece_model(keys)},
            {"tokenizer_config.json", tokenizer_config(keys, extra, "LlamaTokenizer")}};
}

}  // namespace

GgufMetadata gguf_tokenizer(const Checkpoint& model) {
    const TokenizerSource& source = model.tokenizer;
    require(!source.format.empty(), "the model has no tokenizer, without which a GGUF file is of no use");
    const auto vocabulary = model.config.at("vocab_size").get<std::int64_t>();
    GgufMetadata metadata;
    if (source.format == "gguf") {
        metadata = from_gguf_keys(parse_json(source.data));
    } else {
        ensure(source.format == "tokenizer.json" || source.format == "sentencepiece", "tokenizer format '{}'",
               source.format);
        metadata = source.format == "sentencepiece"
                       ? from_sentencepiece(source.data, model.extra, vocabulary)
                       : from_tokenizer_json(parse_json(source.data), vocabulary);
        add_special_ids(metadata, model.config);
    }
    if (has(model.extra, "chat_template") && model.extra.at("chat_template").is_string())
        metadata.emplace_back("tokenizer.chat_template",
                              scalar(GgufType::string, model.extra.at("chat_template")));
    return metadata;
}

std::map<std::string, std::string> huggingface_tokenizer(const Checkpoint& model) {
    const TokenizerSource& source = model.tokenizer;
    if (source.format == "gguf") return huggingface_files(parse_json(source.data), model.extra);
    std::map<std::string, std::string> files;
    if (source.format == "tokenizer.json") files["tokenizer.json"] = source.data;
    if (source.format == "sentencepiece") files["tokenizer.model"] = source.data;
    if (has(model.extra, "tokenizer_config"))
        files["tokenizer_config.json"] = model.extra.at("tokenizer_config").dump(2);
    return files;
}

}  // namespace jlcm
