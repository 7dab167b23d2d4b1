#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/formats/chat_templates.hpp"
#include "core/formats/gguf_pre_tokenizer.hpp"
#include "core/formats/gguf_tokenizer.hpp"
#include "core/formats/json.hpp"
#include "core/formats/sentencepiece_model.hpp"
#include "core/formats/tokenizer_conversion.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr const char* space_mark = "\xE2\x96\x81";  // U+2581

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

std::string text(const json& object, const char* key) {
    return has(object, key) && object.at(key).is_string() ? object.at(key).get<std::string>() : "";
}

const json& part(const json& object, const char* key, json::value_t type) {
    require(has(object, key) && object.at(key).type() == type,
            "the tokenizer has no '{}' of the expected type", key);
    return object.at(key);
}

/// A JSON file of the folder that the model came from; null without one.
json file_of(const Checkpoint& model, const std::string& name) {
    if (const auto found = model.files.find(name + ".json"); found != model.files.end()) {
        try {
            return parse_json(found->second);
        } catch (const Error& error) {
            throw error.within(found->first);
        }
    }
    return has(model.extra, name.c_str()) ? model.extra.at(name) : json();  // artifacts of older versions
}

/// Tokens by id, as GGUF lists them. Ids without a token are unused.
class TokenList {
  public:
    explicit TokenList(std::int64_t vocabulary)
        : tokens_(static_cast<std::size_t>(vocabulary)),
          types_(tokens_.size(), TokenType::unused),
          scores_(tokens_.size(), 0.0F) {}

    void place(const json& id, const std::string& token, TokenType type) {
        require(id.is_number_integer() && id >= 0 && id < tokens_.size(),
                "the id {} of token '{}' is not below {}, the rows of the embedding", id.dump(), token,
                tokens_.size());
        const auto at = id.get<std::size_t>();
        if (const auto before = ids_.find(tokens_[at]); before != ids_.end() && before->second == at)
            ids_.erase(before);
        tokens_[at] = token;
        types_[at] = type;
        const auto [same, is_new] = ids_.emplace(token, at);
        require(is_new || same->second == at, "the token '{}' has two ids, {} and {}: GGUF wants one", token,
                same->second, at);
    }
    void set_score(std::size_t id, float score) { scores_[id] = score; }
    [[nodiscard]] std::optional<std::size_t> id_of(const std::string& token) const {
        const auto found = ids_.find(token);
        return found == ids_.end() ? std::nullopt : std::optional(found->second);
    }
    [[nodiscard]] const std::vector<TokenType>& types() const { return types_; }
    [[nodiscard]] std::size_t size() const { return tokens_.size(); }
    [[nodiscard]] std::size_t count(TokenType type) const {
        return static_cast<std::size_t>(std::ranges::count(types_, type));
    }
    [[nodiscard]] std::string name(std::size_t id) const {
        return types_[id] == TokenType::unused && tokens_[id].empty() ? fmt::format("[PAD{}]", id)
                                                                      : tokens_[id];
    }

    void add_to(GgufMetadata& metadata, bool with_scores) const {
        json tokens = json::array();
        json types = json::array();
        for (std::size_t id = 0; id < tokens_.size(); ++id) {
            tokens.push_back(name(id));
            types.push_back(static_cast<int>(types_[id]));
        }
        metadata.emplace_back("tokenizer.ggml.tokens", array(GgufType::string, std::move(tokens)));
        if (with_scores) metadata.emplace_back("tokenizer.ggml.scores", array(GgufType::f32, scores_));
        metadata.emplace_back("tokenizer.ggml.token_type", array(GgufType::i32, std::move(types)));
    }

  private:
    std::vector<std::string> tokens_;
    std::vector<TokenType> types_;
    std::vector<float> scores_;
    std::map<std::string, std::size_t, std::less<>> ids_;
};

/// What a GGUF file says of a tokenizer, and what it cannot say.
struct Conversion {
    explicit Conversion(std::int64_t vocabulary) : list(vocabulary) {}

    template <class... Args>
    void lose(fmt::format_string<Args...> format, Args&&... args) {
        losses.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
    void say(const std::string& key, GgufValue value) {
        metadata.emplace_back("tokenizer.ggml." + key, std::move(value));
    }
    void say_model(const char* model, const std::string& pre) {
        say("model", scalar(GgufType::string, model));
        say("pre", scalar(GgufType::string, pre));
    }

    TokenList list;
    GgufMetadata metadata;
    std::vector<std::string> losses;
    std::map<std::string, std::size_t> special_ids;  ///< by GGUF's names
};

// Special tokens.

constexpr std::array<std::pair<const char*, const char*>, 7> special_tokens{{
    {"bos", "bos"},
    {"eos", "eos"},
    {"unk", "unknown"},
    {"sep", "seperator"},  // the format's spelling
    {"pad", "padding"},
    {"cls", "cls"},
    {"mask", "mask"},
}};

/// Ends of generation that llama.cpp knows by their spelling.
constexpr std::array known_ends{"<|eot_id|>", "<|im_end|>",      "<|end|>", "<end_of_turn>", "<|endoftext|>",
                                "<|eom_id|>", "<|end_of_text|>", "<EOT>",   "</s>",          "<eos>"};

/// A token's spelling in tokenizer_config.json or special_tokens_map.json: a string, or an object of it.
std::string spelling(const json& settings, const std::string& key) {
    if (!has(settings, key.c_str())) return "";
    const json& given = settings.at(key);
    return given.is_object() ? text(given, "content") : text(settings, key.c_str());
}

/// The end that llama.cpp does not find by itself, of a model with several; the format has room for one more.
void add_other_end(Conversion& out, const json& ids) {
    std::vector<std::string> left;
    for (const json& id : ids) {
        if (!id.is_number_unsigned() || id >= out.list.size()) continue;
        const auto at = id.get<std::size_t>();
        if (const auto eos = out.special_ids.find("eos"); eos != out.special_ids.end() && eos->second == at)
            continue;
        const std::string name = out.list.name(at);
        if (std::ranges::find(known_ends, name) != known_ends.end()) continue;
        if (!out.special_ids.emplace("eot", at).second) left.push_back(name);
    }
    if (!left.empty())
        log_warning("GGUF has room for two ends of a text; {} will not end one", fmt::join(left, ", "));
}

void add_special_ids(Conversion& out, const Checkpoint& model) {
    const std::array settings{file_of(model, "tokenizer_config"), file_of(model, "special_tokens_map")};
    const json generation = file_of(model, "generation_config");
    for (const auto& [name, gguf_name] : special_tokens) {
        const std::string key = fmt::format("{}_token", name);
        for (const json& given : settings)
            if (const auto id = out.list.id_of(spelling(given, key))) out.special_ids.emplace(gguf_name, *id);
        for (const json* config : {&model.config, &generation}) {
            const std::string id_key = key + "_id";
            if (!has(*config, id_key.c_str())) continue;
            const json& given = config->at(id_key);
            const json& id = given.is_array() && !given.empty() ? given.front() : given;
            if (id.is_number_integer() && id >= 0 && id < out.list.size())
                out.special_ids.emplace(gguf_name, id.get<std::size_t>());
        }
    }
    for (const json* config : {&model.config, &generation})
        if (has(*config, "eos_token_id") && config->at("eos_token_id").is_array())
            add_other_end(out, config->at("eos_token_id"));
    for (const auto& [name, id] : out.special_ids) out.say(name + "_token_id", scalar(GgufType::u32, id));
}

/// Whether the post-processor puts a token before or behind a text, and which.
void add_template(Conversion& out, const json& processor, bool& begins, bool& ends) {
    if (!processor.is_object()) return;
    const std::string type = text(processor, "type");
    const auto set = [&](const char* name, bool& is_there, const json& id) {
        if (!id.is_number_unsigned() || id >= out.list.size()) return;
        is_there = true;
        out.special_ids[name] = id.get<std::size_t>();
    };
    if (type == "Sequence" && has(processor, "processors"))
        for (const json& one : processor.at("processors")) add_template(out, one, begins, ends);
    if (type == "TemplateProcessing" && has(processor, "single") && processor.at("single").is_array()) {
        bool is_before = true;
        std::size_t before = 0;
        std::size_t behind = 0;
        for (const json& item : processor.at("single")) {
            if (!has(item, "SpecialToken")) {
                is_before = false;
                continue;
            }
            const json id = out.list.id_of(text(item.at("SpecialToken"), "id")).value_or(out.list.size());
            ++(is_before ? before : behind);
            set(is_before ? "bos" : "eos", is_before ? begins : ends, id);
        }
        if (before > 1 || behind > 1)
            out.lose("the template puts {} tokens before a text and {} behind it, and GGUF can say one each",
                     before, behind);
    }
}

void say_template(Conversion& out, const json& tokenizer) {
    bool begins = false;
    bool ends = false;
    if (has(tokenizer, "post_processor")) add_template(out, tokenizer.at("post_processor"), begins, ends);
    out.say("add_bos_token", scalar(GgufType::boolean, begins));
    out.say("add_eos_token", scalar(GgufType::boolean, ends));
}

// tokenizer.json.

void place_added_tokens(Conversion& out, const json& tokenizer, bool normalizes) {
    if (!has(tokenizer, "added_tokens")) return;
    for (const json& added : tokenizer.at("added_tokens")) {
        const auto content = part(added, "content", json::value_t::string).get<std::string>();
        const bool special = flag(added, "special", false);
        const json& id = part(added, "id", json::value_t::number_unsigned);
        if (id >= out.list.size()) {  // the defaults of a tokenizer's class may name such tokens
            log_warning(
                "the token '{}' is left out: its id {} is beyond the {} rows of the embedding, so "
                "the model cannot read it",
                content, id.dump(), out.list.size());
            continue;
        }
        out.list.place(id, content, special ? TokenType::control : TokenType::user_defined);
        constexpr std::array<std::pair<const char*, const char*>, 3> flags{{
            {"lstrip", "takes the white space before it along"},
            {"rstrip", "takes the white space behind it along"},
            {"single_word", "counts only where it is a word by itself"},
        }};
        for (const auto& [name, meaning] : flags)
            if (flag(added, name, false)) out.lose("the token '{}' {} ({})", content, meaning, name);
        if (normalizes && flag(added, "normalized", !special))
            out.lose("the token '{}' is looked for in the normalised text (normalized)", content);
    }
}

json merges_of(const json& model) {
    json merges = json::array();
    for (const json& merge : part(model, "merges", json::value_t::array)) {
        const bool pair =
            merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
        require(pair || merge.is_string(), "the merge {} is neither a string nor a pair of strings",
                merge.dump());
        merges.push_back(pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                              : merge.get<std::string>());
    }
    return merges;
}

void from_byte_level(Conversion& out, const json& tokenizer) {
    const json& model = tokenizer.at("model");
    if (has(tokenizer, "normalizer"))
        out.lose("the normalizer {} changes a text before it is cut", tokenizer.at("normalizer").dump());
    const json steps = tokenizer.value("pre_tokenizer", json());
    const bool ignores_merges = flag(model, "ignore_merges", false);
    std::string pre = gguf_pre_tokenizer_name(steps, ignores_merges);
    if (pre.empty()) {
        pre = gguf_pre_tokenizer_name(steps, !ignores_merges);
        require(!pre.empty(), "GGUF has no name that jlcm knows for the pre-tokenizer {}", steps.dump());
        out.lose("'ignore_merges' is {}, which the pre-tokenizer '{}' has otherwise", ignores_merges, pre);
    }
    for (const auto& [token, id] : part(model, "vocab", json::value_t::object).items())
        out.list.place(id, token, TokenType::normal);
    place_added_tokens(out, tokenizer, false);
    out.say_model("gpt2", pre);
    out.list.add_to(out.metadata, false);
    out.say("merges", array(GgufType::string, merges_of(model)));
    say_template(out, tokenizer);
}

/// Whether the pieces' spaces are made as SentencePiece does it, and whether a text gets one before it.
struct SpaceRule {
    bool prefix = false;
    bool each_part = true;  ///< of the text between added tokens, or the beginning of the text alone
};

bool is_space_replacement(const json& step) {
    return text(step, "type") == "Replace" && has(step, "pattern") &&
           text(step.at("pattern"), "String") == " " && text(step, "content") == space_mark;
}

SpaceRule space_rule(Conversion& out, const json& tokenizer) {
    const json normalizer = tokenizer.value("normalizer", json());
    const json pre = tokenizer.value("pre_tokenizer", json());
    json steps = json::array();
    if (!normalizer.is_null())
        steps = text(normalizer, "type") == "Sequence" ? normalizer.value("normalizers", json::array())
                                                       : json::array({normalizer});
    if (pre.is_null() && steps.is_array() && !steps.empty() && is_space_replacement(steps.back())) {
        const bool prefix = steps.size() == 2 && text(steps[0], "type") == "Prepend" &&
                            text(steps[0], "prepend") == space_mark;
        if (prefix || steps.size() == 1) return {prefix, true};
    }
    if (text(pre, "type") == "Metaspace" && steps.empty() && text(pre, "replacement") == space_mark) {
        if (flag(pre, "split", true)) out.lose("the pre-tokenizer cuts at spaces (Metaspace, split)");
        std::string scheme = text(pre, "prepend_scheme");
        if (scheme.empty()) scheme = flag(pre, "add_prefix_space", true) ? "always" : "never";
        return {scheme != "never", scheme != "first"};
    }
    fail(
        "GGUF has no words for a byte-pair encoding of characters with the normalizer {} and the "
        "pre-tokenizer {}",
        normalizer.dump(), pre.dump());
}

bool is_byte_token(const std::string& token) {
    return token.size() == 6 && token.starts_with("<0x") && token.ends_with(">") &&
           std::isxdigit(static_cast<unsigned char>(token[3])) != 0 &&
           std::isxdigit(static_cast<unsigned char>(token[4])) != 0;
}

/// llama.cpp merges what has the highest score: those of tokenizer.model, or the order of the merges.
void set_scores(Conversion& out, const Checkpoint& source, const json& merges) {
    if (const auto file = source.files.find("tokenizer.model"); file != source.files.end()) {
        const SentencePieceModel pieces = parse_sentencepiece_model(file->second);
        for (std::size_t i = 0; i < pieces.pieces.size(); ++i)
            if (const auto id = out.list.id_of(pieces.pieces[i])) out.list.set_score(*id, pieces.scores[i]);
        return;
    }
    std::set<std::size_t> done;
    float score = 0;
    for (const json& merge : merges) {
        auto token = merge.get<std::string>();
        const std::size_t space = token.find(' ');
        if (space != std::string::npos) token.erase(space, 1);
        score -= 1;
        const auto id = out.list.id_of(token);
        if (id && done.insert(*id).second) out.list.set_score(*id, score);
    }
}

void lose_bytes(Conversion& out) {
    constexpr std::size_t bytes = 256;
    if (const std::size_t there = out.list.count(TokenType::byte); there < bytes)
        out.lose(
            "{} of 256 bytes have a token: llama.cpp ends with an error at characters without one (the "
            "model has no byte fallback)",
            there);
}

void lose_single_prefix(Conversion& out, bool is_sentencepiece) {
    std::vector<std::string> tokens;
    for (std::size_t id = 0; id < out.list.size(); ++id)
        if (out.list.types()[id] == TokenType::user_defined) tokens.push_back(out.list.name(id));
    if (tokens.empty()) return;
    const std::string all = fmt::format("{}", fmt::join(tokens, ", "));
    if (is_sentencepiece) {
        log_warning(
            "llama.cpp puts a space behind the tokens {}, where SentencePiece puts none: its ids of such "
            "texts differ; jlcm's are SentencePiece's",
            all);
    } else {
        out.lose(
            "a space is put before the text alone (prepend_scheme first), and llama.cpp puts one "
            "behind the tokens {} too",
            all);
    }
}

void from_character_level(Conversion& out, const json& tokenizer, const Checkpoint& source) {
    const json& model = tokenizer.at("model");
    const SpaceRule rule = space_rule(out, tokenizer);
    const std::string unknown = text(model, "unk_token");
    for (const auto& [token, id] : part(model, "vocab", json::value_t::object).items())
        out.list.place(id, token, is_byte_token(token) ? TokenType::byte : TokenType::normal);
    place_added_tokens(out, tokenizer, has(tokenizer, "normalizer"));
    if (const auto id = out.list.id_of(unknown)) {
        out.list.place(*id, unknown, TokenType::unknown);
        out.special_ids["unknown"] = *id;
    }
    set_scores(out, source, merges_of(model));
    lose_bytes(out);
    if (rule.prefix && !rule.each_part) lose_single_prefix(out, false);
    out.say_model("llama", "default");
    out.list.add_to(out.metadata, true);
    say_template(out, tokenizer);
    out.say("add_space_prefix", scalar(GgufType::boolean, rule.prefix));
}

void from_tokenizer_json(Conversion& out, const Checkpoint& source) {
    const json tokenizer = parse_json(source.tokenizer.data);
    const json& model = part(tokenizer, "model", json::value_t::object);
    const std::string type = text(model, "type");
    require(type == "BPE" || (type.empty() && has(model, "merges")),
            "a tokenizer.json with a model of the type '{}' cannot be written to GGUF, only "
            "byte-pair encodings (BPE)",
            type);
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
        require(text(model, key).empty(), "GGUF has no words for the tokenizer's '{}'", key);
    if (flag(model, "byte_fallback", false)) {
        from_character_level(out, tokenizer, source);
    } else {
        from_byte_level(out, tokenizer);
    }
}

// SentencePiece.

void say_bytes(Conversion& out, const std::string& bytes) {
    if (bytes.empty()) return;
    json values = json::array();
    for (const char byte : bytes) values.push_back(static_cast<unsigned char>(byte));
    out.say("precompiled_charsmap", array(GgufType::u8, std::move(values)));
}

void from_sentencepiece(Conversion& out, const Checkpoint& source) {
    const SentencePieceModel model = parse_sentencepiece_model(source.tokenizer.data);
    require(model.is_byte_pair || model.is_unigram,
            "GGUF has no words for a SentencePiece model of words or characters");
    require(model.pieces.size() <= out.list.size(), "tokenizer.model has {} pieces for a vocabulary of {}",
            model.pieces.size(), out.list.size());
    bool has_user_defined = false;
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
        const int type = model.types[id];
        require(type >= 1 && type <= 6, "the piece '{}' has the unknown type {}", model.pieces[id], type);
        out.list.place(id, model.pieces[id], static_cast<TokenType>(type));
        out.list.set_score(id, model.scores[id]);
        if (static_cast<TokenType>(type) == TokenType::unknown) out.special_ids["unknown"] = id;
        has_user_defined = has_user_defined || static_cast<TokenType>(type) == TokenType::user_defined;
    }
    for (const auto& [name, id] :
         {std::pair{"bos", model.bos_id}, std::pair{"eos", model.eos_id}, std::pair{"padding", model.pad_id}})
        if (id >= 0 && static_cast<std::size_t>(id) < model.pieces.size() &&
            out.list.types()[static_cast<std::size_t>(id)] == TokenType::control)
            out.special_ids[name] = static_cast<std::size_t>(id);

    if (model.white_space_as_suffix)
        out.lose("spaces are put behind words, not before them (treat_whitespace_as_suffix)");
    if (!model.escape_white_space) out.lose("spaces are not written as U+2581 (escape_whitespaces false)");
    if (model.is_byte_pair) {
        if (model.remove_extra_whitespaces)
            out.lose("spaces at the ends and in rows are left out (remove_extra_whitespaces)");
        if (!model.precompiled_charsmap.empty())
            out.lose("characters are normalised (a normalization rule such as nmt_nfkc)");
        lose_bytes(out);
    } else {
        if (out.list.count(TokenType::byte) > 0)
            out.lose(
                "characters without a piece become bytes (byte_fallback), llama.cpp's "
                "Unigram makes them <unk>");
        if (model.remove_extra_whitespaces && !model.add_dummy_prefix)
            out.lose(
                "spaces in rows are left out, and no text gets a space before it "
                "(remove_extra_whitespaces without add_dummy_prefix)");
    }
    if (model.add_dummy_prefix && has_user_defined) lose_single_prefix(out, true);

    const json settings = file_of(source, "tokenizer_config");
    out.say_model(model.is_unigram ? "t5" : "llama", "default");
    out.list.add_to(out.metadata, true);
    for (const auto& [name, otherwise] : {std::pair{"bos", true}, std::pair{"eos", false}})
        out.say(fmt::format("add_{}_token", name),
                scalar(GgufType::boolean,
                       out.special_ids.contains(name) &&
                           flag(settings, fmt::format("add_{}_token", name).c_str(), otherwise)));
    out.say("add_space_prefix", scalar(GgufType::boolean, model.add_dummy_prefix));
    out.say("remove_extra_whitespaces", scalar(GgufType::boolean, model.remove_extra_whitespaces));
    out.say("sentencepiece_rules", scalar(GgufType::boolean, true));
    say_bytes(out, model.precompiled_charsmap);
}

// GGUF.

GgufType scalar_type(const std::string& key, const json& value) {
    if (value.is_string()) return GgufType::string;
    if (value.is_boolean()) return GgufType::boolean;
    if (value.is_number_float()) return GgufType::f32;
    require(value.is_number(), "the key '{}' holds {}, which GGUF has no type for", key, value.dump());
    if (value.is_number_unsigned()) return value <= UINT32_MAX ? GgufType::u32 : GgufType::u64;
    return value >= INT32_MIN && value <= INT32_MAX ? GgufType::i32 : GgufType::i64;
}

/// Of all items; llama.cpp wants whole numbers as int32, bytes apart.
GgufType element_type(const std::string& key, const json& values) {
    if (key == "tokenizer.ggml.scores") return GgufType::f32;
    if (key == "tokenizer.ggml.precompiled_charsmap")
        return std::ranges::any_of(values, [](const json& byte) { return byte < 0; }) ? GgufType::i8
                                                                                      : GgufType::u8;
    std::set<GgufType> types;
    for (const json& value : values) {
        const GgufType type = scalar_type(key, value);
        const bool is_small = type == GgufType::u32 && value <= INT32_MAX;
        types.insert(is_small ? GgufType::i32 : type);
    }
    require(types.size() <= 1, "the key '{}' holds values of several types", key);
    return types.empty() ? GgufType::i32 : *types.begin();
}

/// A GGUF file's keys went through JSON: their types follow from the key or the value.
GgufValue typed_value(const std::string& key, const json& value) {
    return value.is_array() ? array(element_type(key, value), value) : scalar(scalar_type(key, value), value);
}

GgufMetadata from_gguf_keys(const json& keys) {
    (void)read_gguf_tokenizer(keys);  // an artifact may hold anything
    GgufMetadata metadata;
    for (const auto& [key, value] : keys.items()) metadata.emplace_back(key, typed_value(key, value));
    return metadata;
}

/// As the `gguf` package writes them.
void add_chat_templates(GgufMetadata& metadata, const Checkpoint& model) {
    json names = json::array();
    for (const auto& [name, content] : chat_templates(model)) {
        if (name == "default") {
            metadata.emplace_back("tokenizer.chat_template", scalar(GgufType::string, content));
            continue;
        }
        std::string plain = name;
        for (char& c : plain)
            if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
        names.push_back(plain);
        metadata.emplace_back("tokenizer.chat_template." + plain, scalar(GgufType::string, content));
    }
    if (!names.empty())
        metadata.emplace_back("tokenizer.chat_templates", array(GgufType::string, std::move(names)));
}

void report(const std::vector<std::string>& losses, TokenizerLoss loss) {
    if (losses.empty()) return;
    const std::string list = fmt::format("{}", fmt::join(losses, "; "));
    require(
        loss == TokenizerLoss::accepted,
        "GGUF cannot say all of this tokenizer, so that ids of some texts would be others (--lossy-tokenizer "
        "writes the file all the same, and a Hugging Face folder, --format hf, keeps all): {}",
        list);
    log_warning("ids of some texts are others, because GGUF cannot say all of this tokenizer: {}", list);
}

}  // namespace

GgufMetadata gguf_tokenizer(const Checkpoint& model, TokenizerLoss loss) {
    const TokenizerSource& source = model.tokenizer;
    require(!source.format.empty(), "the model has no tokenizer, without which a GGUF file is of no use");
    GgufMetadata metadata;
    if (source.format == "gguf") {
        metadata = from_gguf_keys(parse_json(source.data));
    } else {
        Conversion out(model.config.at("vocab_size").get<std::int64_t>());
        if (source.format == "sentencepiece") {
            from_sentencepiece(out, model);
        } else {
            require(source.format == "tokenizer.json", "the tokenizer format '{}' cannot be written to GGUF",
                    source.format);
            from_tokenizer_json(out, model);
        }
        report(out.losses, loss);
        add_special_ids(out, model);
        metadata = std::move(out.metadata);
    }
    add_chat_templates(metadata, model);
    return metadata;
}

}  // namespace jlcm
