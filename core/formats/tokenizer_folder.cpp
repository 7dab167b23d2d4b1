#include "core/formats/tokenizer_folder.hpp"

#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/base/problems.hpp"
#include "core/formats/added_vocabulary.hpp"
#include "core/formats/json.hpp"
#include "core/formats/tokenizer_backend.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace jlcm {
namespace {

using nlohmann::json;

/// What the fast tokenizers of a family have in common.
enum class Family { any, llama, gpt2, qwen2, bert };

struct TokenizerClass {
    std::string_view name;  ///< as in tokenizer_config.json, without "Fast"
    Family family;
    /// The special tokens that it has unless a file says otherwise.
    std::vector<std::pair<const char*, const char*>> special;
};

const std::vector<TokenizerClass>& tokenizer_classes() {
    static const std::vector<TokenizerClass> classes = [] {
        const char* const end = "<|endoftext|>";
        const std::vector<std::pair<const char*, const char*>> bert{{"unk_token", "[UNK]"},
                                                                    {"sep_token", "[SEP]"},
                                                                    {"pad_token", "[PAD]"},
                                                                    {"cls_token", "[CLS]"},
                                                                    {"mask_token", "[MASK]"}};
        return std::vector<TokenizerClass>{
            {"PreTrainedTokenizer", Family::any, {}},
            {"LlamaTokenizer",
             Family::llama,
             {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}}},
            {"GPT2Tokenizer", Family::gpt2, {{"bos_token", end}, {"eos_token", end}, {"unk_token", end}}},
            {"GPTNeoXTokenizer", Family::any, {{"bos_token", end}, {"eos_token", end}, {"unk_token", end}}},
            {"Qwen2Tokenizer", Family::qwen2, {{"eos_token", end}, {"unk_token", end}, {"pad_token", end}}},
            {"BertTokenizer", Family::bert, bert},
            {"DistilBertTokenizer", Family::bert, bert},
        };
    }();
    return classes;
}

/// AutoTokenizer's class for a model whose files name none (TOKENIZER_MAPPING_NAMES).
std::string class_of_model_type(const std::string& type) {
    static const std::map<std::string, const char*, std::less<>> names{
        {"llama", "LlamaTokenizer"},  {"mistral", "LlamaTokenizer"},
        {"gpt2", "GPT2Tokenizer"},    {"opt", "GPT2Tokenizer"},
        {"gpt_neo", "GPT2Tokenizer"}, {"gpt_neox", "GPTNeoXTokenizer"},
        {"qwen2", "Qwen2Tokenizer"},  {"qwen3", "Qwen2Tokenizer"},
        {"bert", "BertTokenizer"},    {"distilbert", "DistilBertTokenizer"}};
    const auto found = names.find(type);
    return found == names.end() ? "PreTrainedTokenizer" : found->second;
}

const std::array<const char*, 7> special_names{"bos_token", "eos_token", "unk_token", "sep_token",
                                               "pad_token", "cls_token", "mask_token"};
constexpr const char* more_special = "additional_special_tokens";

/// A special token as a file gives it: with its properties, or only spelt.
struct SpecialToken {
    TokenEntry token;
    bool is_spelt = false;
};

SpecialToken spelt(const std::string& content) {
    return {.token = {.content = content, .normalized = false, .special = true}, .is_spelt = true};
}

bool is_null(const json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null();
}

std::int64_t id_from(const json& value, const std::string& token) {
    require(value.is_number_unsigned() && value <= std::numeric_limits<std::uint32_t>::max(),
            "the id {} of \"{}\" is not a whole number from 0 to {}", value.dump(), token,
            std::numeric_limits<std::uint32_t>::max());
    return value.get<std::int64_t>();
}

/// One folder's tokenizer while it is put together.
class Assembly {
  public:
    Assembly(const TokenizerFiles& files, const json& config) : files_(files), config_(config) {}

    TokenizerSource run() {
        settings_ = object_in("tokenizer_config.json");
        attempt("tokenizer_config.json", [&] { choose_class(); });
        attempt("tokenizer_config.json", [&] { read_options(); });
        attempt("tokenizer.json", [&] { read_given(); });
        read_token_lists();
        read_special_tokens();
        read_backend();
        problems_.throw_if_any();
        add_tokens();
        apply_class();
        problems_.throw_if_any();
        if (given_ == tokenizer_) return {"tokenizer.json", files_.find("tokenizer.json")->second};
        return {"tokenizer.json", tokenizer_.dump()};
    }

  private:
    [[nodiscard]] bool has(std::string_view name) const { return files_.find(name) != files_.end(); }
    [[nodiscard]] std::string_view text(std::string_view name) const { return files_.find(name)->second; }

    /// What `body` refuses is a problem of the file.
    template <class Body>
    void attempt(const std::string& file, const Body& body) {
        try {
            body();
        } catch (const Error& error) {
            problems_.add({}, fmt::format("{}: {}", file, error.what()));
        }
    }

    /// The object in a file; empty if there is no such file.
    json object_in(const std::string& name) {
        json object = json::object();
        if (has(name))
            attempt(name, [&] {
                object = parse_json(text(name));
                if (object.is_object()) return;
                object = json::object();
                fail("not a JSON object");
            });
        return object;
    }

    [[nodiscard]] std::string text_setting(const json& object, const char* name) const {
        if (is_null(object, name)) return "";
        require(object.at(name).is_string(), "'{}' is {}: expected a string", name, object.at(name).dump());
        return object.at(name).get<std::string>();
    }

    [[nodiscard]] std::optional<bool> flag_setting(const char* name) const {
        if (is_null(settings_, name)) return std::nullopt;
        require(settings_.at(name).is_boolean(), "'{}' is {}: expected true or false", name,
                settings_.at(name).dump());
        return settings_.at(name).get<bool>();
    }

    void choose_class() {
        class_name_ = text_setting(settings_, "tokenizer_class");
        if (class_name_.empty()) class_name_ = text_setting(config_, "tokenizer_class");
        if (class_name_.empty()) class_name_ = class_of_model_type(text_setting(config_, "model_type"));
        if (class_name_.ends_with("Fast")) class_name_.resize(class_name_.size() - 4);
        const auto& classes = tokenizer_classes();
        const auto known = std::ranges::find(classes, class_name_, &TokenizerClass::name);
        if (known != classes.end()) class_ = *known;
    }

    void read_options() {
        add_prefix_space_ = flag_setting("add_prefix_space");
        legacy_ = flag_setting("legacy").value_or(true);
        add_bos_ = flag_setting("add_bos_token").value_or(true);
        add_eos_ = flag_setting("add_eos_token").value_or(false);
        lower_case_ = flag_setting("do_lower_case").value_or(true);
        apart_ideographs_ = flag_setting("tokenize_chinese_chars").value_or(true);
        strip_accents_ = flag_setting("strip_accents");
        require(!flag_setting("split_special_tokens").value_or(false),
                "'split_special_tokens' is true: not supported; remove it if special tokens in a "
                "text shall count as such");
    }

    /// A token of a list that says which id it has.
    void list_token(const std::string& file, std::int64_t id, const TokenEntry& token) {
        listed_[id] = token;
        by_content_[token.content] = token;
        declared_.push_back({file, token.content, id});
    }

    void read_token_lists() {
        if (settings_.contains("added_tokens_decoder")) {
            const json& list = settings_.at("added_tokens_decoder");
            attempt("tokenizer_config.json: added_tokens_decoder", [&] {
                require(list.is_object(), "not an object of tokens by id");
                for (const auto& [key, value] : list.items()) {
                    std::uint32_t id = 0;
                    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
                    require(error == std::errc() && end == key.data() + key.size(),
                            "\"{}\" is not an id: expected a whole number from 0 to {}", key,
                            std::numeric_limits<std::uint32_t>::max());
                    list_token("tokenizer_config.json: added_tokens_decoder", id, token_entry_from(value));
                }
            });
            warn_of_unlisted();
            return;
        }
        // Files of older versions of transformers; tokenizer.json's own list counts last.
        take_special_tokens_map();
        const json older = object_in("added_tokens.json");
        attempt("added_tokens.json", [&] {
            const std::set<std::string> special = spelt_special_tokens();
            std::vector<std::pair<std::int64_t, std::string>> by_id;
            for (const auto& [content, id] : older.items()) by_id.emplace_back(id_from(id, content), content);
            std::ranges::sort(by_id);
            for (std::size_t i = 0; i < by_id.size(); ++i) {
                const auto& [id, content] = by_id[i];
                if (i > 0 && by_id[i - 1].first == id)
                    fail("\"{}\" and \"{}\" have the same id {}", by_id[i - 1].second, content, id);
                const bool is_special = special.contains(content);
                listed_[id] = {.content = content, .normalized = !is_special, .special = is_special};
                declared_.push_back({"added_tokens.json", content, id});
            }
        });
        for (const auto& [id, token] : given_tokens_) {
            listed_[id] = token;
            by_content_[token.content] = token;
        }
    }

    /// What special_tokens_map.json says goes before tokenizer_config.json; lists of tokens are joined.
    void take_special_tokens_map() {
        json map = object_in("special_tokens_map.json");
        for (auto& [key, value] : map.items()) {
            if (value.is_object()) value["special"] = true;
            if (key != more_special || !value.is_array()) {
                settings_[key] = value;
                continue;
            }
            json& all = settings_[more_special];
            if (!all.is_array()) all = json::array();
            for (json& token : value) {
                if (token.is_object()) token["special"] = true;
                if (std::ranges::find(all, token) == all.end()) all.push_back(token);
            }
        }
    }

    /// The contents of the special tokens that files name, as added_tokens.json is read with.
    [[nodiscard]] std::set<std::string> spelt_special_tokens() const {
        std::set<std::string> contents;
        const auto take = [&](const json& value) {
            if (value.is_string()) contents.insert(value.get<std::string>());
            if (value.is_object() && value.contains("content") && value.at("content").is_string())
                contents.insert(value.at("content").get<std::string>());
        };
        for (const char* name : special_names)
            if (!is_null(settings_, name)) take(settings_.at(name));
        if (!is_null(settings_, more_special) && settings_.at(more_special).is_array())
            for (const json& value : settings_.at(more_special)) take(value);
        return contents;
    }

    /// added_tokens.json doesn't count beside added_tokens_decoder.
    void warn_of_unlisted() {
        const json older = object_in("added_tokens.json");
        for (const auto& [content, id] : older.items())
            if (!by_content_.contains(content)) unlisted_.push_back(content);
    }

    void read_special_tokens() {
        for (const char* name : special_names)
            attempt(name, [&] {
                if (settings_.contains(name)) {
                    if (!settings_.at(name).is_null())
                        special_[name] = special_from(settings_.at(name), true);
                    return;
                }
                for (const auto& [special, content] : class_.special)
                    if (std::string_view(name) == special) special_[name] = spelt(content);
            });
        attempt(more_special, [&] {
            if (is_null(settings_, more_special)) return;
            require(settings_.at(more_special).is_array(), "not a list of tokens");
            for (const json& value : settings_.at(more_special))
                more_special_.push_back(special_from(value, false));
        });
    }

    /// `look_up`: a token that a list describes has the properties that it has there.
    SpecialToken special_from(const json& value, bool look_up) {
        SpecialToken result;
        if (value.is_string()) {
            result = spelt(value.get<std::string>());
        } else {
            require(value.is_object(), "{} is neither a string nor an object with a 'content'", value.dump());
            result.token = token_entry_from(value);
        }
        const auto found = by_content_.find(result.token.content);
        if (look_up && found != by_content_.end()) result = {.token = found->second};
        return result;
    }

    void read_backend() {
        if (has("tokenizer.json")) {
            // LlamaTokenizerFast with add_prefix_space ignores tokenizer.json.
            const bool from_pieces = class_.family == Family::llama && add_prefix_space_.has_value();
            if (!from_pieces || !has("tokenizer.model")) {
                if (from_pieces)
                    log_warning(
                        "tokenizer_config.json: 'add_prefix_space' asks LlamaTokenizer for tokenizer.model, "
                        "which is missing; taking tokenizer.json as it is");
                tokenizer_ = given_;
                return;
            }
        }
        switch (class_.family) {
            case Family::llama:
                if (needs({"tokenizer.model"}))
                    attempt("tokenizer.model", [&] {
                        const bool is_set = settings_.contains("add_prefix_space");  // null means none
                        LlamaSettings settings{.legacy = legacy_,
                                               .add_prefix_space = add_prefix_space_.value_or(!is_set),
                                               .names = {}};
                        if (!has("tokenizer.json"))
                            for (const auto& [id, token] : listed_)
                                settings.names[static_cast<std::size_t>(id)] = token.content;
                        tokenizer_ = llama_tokenizer(text("tokenizer.model"), settings);
                    });
                break;
            case Family::gpt2:
                if (needs({"vocab.json", "merges.txt"}))
                    attempt("vocab.json", [&] {
                        tokenizer_ = gpt2_tokenizer(text("vocab.json"), text("merges.txt"),
                                                    add_prefix_space_.value_or(false));
                    });
                break;
            case Family::qwen2:
                if (needs({"vocab.json", "merges.txt"}))
                    attempt("vocab.json",
                            [&] { tokenizer_ = qwen2_tokenizer(text("vocab.json"), text("merges.txt")); });
                break;
            case Family::bert:
                if (needs({"vocab.txt"}))
                    attempt("vocab.txt", [&] {
                        const auto unknown = special_.find("unk_token");
                        tokenizer_ = bert_tokenizer(text("vocab.txt"), unknown == special_.end()
                                                                           ? "[UNK]"
                                                                           : unknown->second.token.content);
                    });
                break;
            case Family::any:
                problems_.add({},
                              fmt::format("tokenizer.json is missing, and for the class {} nothing else is "
                                          "read: save the tokenizer with transformers (save_pretrained of "
                                          "the fast tokenizer), or name its class as tokenizer_class in "
                                          "tokenizer_config.json (with other files there are {})",
                                          class_name_, classes_with_files()));
        }
        is_converted_ = true;
    }

    static std::string classes_with_files() {
        std::vector<std::string_view> names;
        for (const TokenizerClass& one : tokenizer_classes())
            if (one.family != Family::any) names.push_back(one.name);
        return fmt::format("{}", fmt::join(names, ", "));
    }

    bool needs(std::initializer_list<const char*> names) {
        bool complete = true;
        for (const char* name : names) {
            if (has(name)) continue;
            complete = false;
            problems_.add(
                {}, fmt::format(
                        "{} is missing, which the class {} reads if there is no tokenizer.json: put either "
                        "there, or name the class that the files belong to as tokenizer_class in "
                        "tokenizer_config.json",
                        name, class_name_));
        }
        return complete;
    }

    void read_given() {
        if (!has("tokenizer.json")) return;
        given_ = parse_json(text("tokenizer.json"));
        require(given_.is_object() && given_.contains("model") && given_.at("model").is_object(),
                "there is no object 'model'");
        if (is_null(given_, "added_tokens")) return;
        require(given_.at("added_tokens").is_array(), "'added_tokens' is not a list");
        for (const json& each : given_.at("added_tokens")) {
            const TokenEntry token = token_entry_from(each);
            require(each.contains("id"), "the added token \"{}\" has no 'id'", token.content);
            const std::int64_t id = id_from(each.at("id"), token.content);
            declared_.push_back({"tokenizer.json: added_tokens", token.content, id});
            given_tokens_.emplace_back(id, token);
        }
    }

    /// Ids by token, of a model with an object or a list (Unigram) of them.
    std::unordered_map<std::string, std::int64_t> vocabulary() {
        const json& model = tokenizer_.at("model");
        require(model.contains("vocab"), "'model' has no 'vocab'");
        const json& list = model.at("vocab");
        std::unordered_map<std::string, std::int64_t> ids;
        if (list.is_array()) {
            for (const json& piece : list) {
                require(piece.is_array() && !piece.empty() && piece.at(0).is_string(),
                        "model.vocab: {} is not a token with its score", piece.dump());
                ids.emplace(piece.at(0).get<std::string>(), std::ssize(ids));
            }
            return ids;
        }
        require(list.is_object(), "'model.vocab' is neither an object nor a list");
        for (const auto& [token, id] : list.items()) ids.emplace(token, id_from(id, token));
        return ids;
    }

    void add_tokens() {
        attempt(is_converted_ ? "the vocabulary" : "tokenizer.json", [&] {
            AddedVocabulary added(vocabulary());
            if (!is_null(tokenizer_, "added_tokens"))
                for (const json& each : tokenizer_.at("added_tokens")) added.add(token_entry_from(each));
            for (auto& [id, token] : listed_) {
                TokenEntry own = token;
                own.special = own.special || is_special(own.content);
                added.add(own);
            }
            for (const SpecialToken& each : all_special()) {
                const bool is_listed =
                    std::ranges::any_of(listed_, [&](const auto& one) { return one.second == each.token; });
                if (is_listed || (each.is_spelt && added.has_added(each.token.content))) continue;
                TokenEntry own = each.token;
                own.special = true;
                added.add(own);
            }
            const json list = added.to_json();
            if (!list.empty() || !is_null(tokenizer_, "added_tokens")) tokenizer_["added_tokens"] = list;
            warn_of_ids(added);
            for (const auto& [name, special] : special_)
                special_ids_[name] = added.id_of(special.token.content);
        });
    }

    [[nodiscard]] bool is_special(const std::string& content) const {
        return std::ranges::any_of(special_,
                                   [&](const auto& one) { return one.second.token.content == content; }) ||
               std::ranges::any_of(more_special_,
                                   [&](const auto& one) { return one.token.content == content; });
    }

    /// In transformers' order, each content once; as the class that converts other files has them.
    [[nodiscard]] std::vector<SpecialToken> all_special() const {
        std::vector<SpecialToken> all;
        const auto take = [&](SpecialToken special, bool converts) {
            if (special.token.content.empty() || std::ranges::any_of(all, [&](const auto& one) {
                    return one.token.content == special.token.content;
                }))
                return;
            const bool is_gpt2 = class_.family == Family::gpt2 && is_converted_;
            if (converts && special.is_spelt) {
                special.is_spelt = false;
                special.token.normalized = is_gpt2;
                special.token.special = !is_gpt2;
            }
            all.push_back(std::move(special));
        };
        const bool slow_converts =
            is_converted_ && (class_.family == Family::llama || class_.family == Family::gpt2);
        const std::array<std::string_view, 4> converted{"bos_token", "eos_token", "unk_token", "pad_token"};
        for (const char* name : special_names)
            if (const auto found = special_.find(name); found != special_.end())
                take(found->second, (slow_converts || class_.family == Family::qwen2) &&
                                        std::ranges::count(converted, name) > 0);
        for (const SpecialToken& special : more_special_) take(special, false);
        return all;
    }

    void warn_of_ids(const AddedVocabulary& added) const {
        std::set<std::string> told;
        for (const auto& [file, content, id] : declared_) {
            const auto actual = added.id_of(content);
            if (content.empty()) {
                log_warning("{}: a token without content, of id {}, is left out", file, id);
            } else if (actual && *actual != id && told.insert(content).second) {
                log_warning(
                    "{}: \"{}\" is said to have the id {}, but it has {}, as Hugging Face's tokenizers count",
                    file, content, id, *actual);
            }
        }
        for (const std::string& content : unlisted_)
            if (!added.has_added(content))
                log_warning(
                    "added_tokens.json: \"{}\" does not count, since added_tokens_decoder of "
                    "tokenizer_config.json does not list it",
                    content);
    }

    /// What the class's constructor changes.
    void apply_class() {
        if (class_.family == Family::llama) attempt("tokenizer_config.json", [&] { set_llama_template(); });
        if (class_.family == Family::bert) attempt("tokenizer.json", [&] { set_bert(); });
        if (!is_converted_) set_prefix_space();
    }

    void set_llama_template() {
        json single = json::array();
        json tokens = json::object();
        const auto token = [&](const char* name, int type) -> json {
            const auto special = special_.find(name);
            require(special != special_.end(), "'add_{}' is true, but there is no '{}'", name, name);
            const std::string& content = special->second.token.content;
            const auto id = special_ids_.at(name);
            require(id.has_value(), "'{}' is empty", name);
            tokens[content] = {{"id", content}, {"ids", {*id}}, {"tokens", {content}}};
            return {{"SpecialToken", {{"id", content}, {"type_id", type}}}};
        };
        if (add_bos_) single.push_back(token("bos_token", 0));
        single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
        if (add_eos_) single.push_back(token("eos_token", 0));
        json pair = single;
        if (add_bos_) pair.push_back(token("bos_token", 1));
        pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
        if (add_eos_) pair.push_back(token("eos_token", 1));
        tokenizer_["post_processor"] = {
            {"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
    }

    void set_bert() {
        if (is_converted_) {
            const auto part = [&](const char* name, int type) -> json {
                return {{"SpecialToken", {{"id", special_.at(name).token.content}, {"type_id", type}}}};
            };
            const auto text_part = [](const char* id, int type) -> json {
                return {{"Sequence", {{"id", id}, {"type_id", type}}}};
            };
            json tokens = json::object();
            for (const char* name : {"cls_token", "sep_token"}) {
                require(special_.contains(name) && special_ids_.at(name), "BertTokenizer needs a '{}'", name);
                const std::string& content = special_.at(name).token.content;
                tokens[content] = {{"id", content}, {"ids", {*special_ids_.at(name)}}, {"tokens", {content}}};
            }
            tokenizer_["post_processor"] = {
                {"type", "TemplateProcessing"},
                {"single", {part("cls_token", 0), text_part("A", 0), part("sep_token", 0)}},
                {"pair",
                 {part("cls_token", 0), text_part("A", 0), part("sep_token", 0), text_part("B", 1),
                  part("sep_token", 1)}},
                {"special_tokens", tokens}};
        }
        require(!is_null(tokenizer_, "normalizer") && tokenizer_.at("normalizer").is_object(),
                "{} needs a normalizer", class_name_);
        json& normalizer = tokenizer_["normalizer"];
        const json accents = strip_accents_ ? json(*strip_accents_) : json();
        const std::array<std::pair<const char*, json>, 3> wanted{
            {{"lowercase", lower_case_},
             {"strip_accents", accents},
             {"handle_chinese_chars", apart_ideographs_}}};
        for (const auto& [name, value] : wanted)
            if (normalizer.contains(name)) normalizer[name] = value;
    }

    /// The setting counts where tokenizer.json's own pre-tokenizer has it, not within a Sequence.
    void set_prefix_space() {
        if (is_null(tokenizer_, "pre_tokenizer") || !tokenizer_.at("pre_tokenizer").is_object()) return;
        json& step = tokenizer_["pre_tokenizer"];
        if (!step.contains("add_prefix_space")) return;
        const bool is_set = settings_.contains("add_prefix_space");
        if (is_set ? add_prefix_space_.has_value() : class_.family != Family::llama)
            step["add_prefix_space"] = add_prefix_space_.value_or(false);
    }

    struct Declared {
        std::string file;
        std::string content;
        std::int64_t id;
    };

    const TokenizerFiles& files_;
    const json& config_;
    ProblemList problems_;
    json settings_ =
        json::object();  ///< tokenizer_config.json, with special_tokens_map.json where that counts
    std::string class_name_;
    TokenizerClass class_ = tokenizer_classes().front();
    std::optional<bool> add_prefix_space_;
    bool legacy_ = true;
    bool add_bos_ = true;
    bool add_eos_ = false;
    bool lower_case_ = true;
    bool apart_ideographs_ = true;
    std::optional<bool> strip_accents_;

    std::map<std::int64_t, TokenEntry> listed_;     ///< added tokens that lists name, by the id said there
    std::map<std::string, TokenEntry> by_content_;  ///< of the lists that special tokens are looked up in
    std::vector<Declared> declared_;
    std::vector<std::string> unlisted_;
    std::map<std::string, SpecialToken> special_;
    std::vector<SpecialToken> more_special_;
    std::map<std::string, std::optional<std::int64_t>> special_ids_;

    json given_;                                                     ///< tokenizer.json
    std::vector<std::pair<std::int64_t, TokenEntry>> given_tokens_;  ///< its added tokens
    json tokenizer_;                                                 ///< the result
    bool is_converted_ = false;
};

}  // namespace

TokenizerSource assemble_tokenizer(const TokenizerFiles& files, const json& config) {
    const auto has = [&](const char* name) { return files.find(name) != files.end(); };
    if (files.size() == 1 && has("tokenizer.model")) return {"sentencepiece", files.begin()->second};
    if (!has("tokenizer.json") && !has("tokenizer.model") && !has("vocab.json") && !has("vocab.txt"))
        return {};
    return Assembly(files, config).run();
}

}  // namespace jlcm
