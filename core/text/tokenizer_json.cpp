#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/base/problems.hpp"
#include "core/formats/added_vocabulary.hpp"
#include "core/formats/gguf_pre_tokenizer.hpp"
#include "core/formats/json.hpp"
#include "core/text/bpe_tokenizer.hpp"
#include "core/text/tokenizer_readers.hpp"
#include "core/text/unicode_steps.hpp"

#include <limits>

namespace jlcm {

namespace {

using Json = nlohmann::json;

/// The member of that name and type; an input error names it.
const Json& need(const Json& object, const char* name, Json::value_t type) {
    require(object.is_object() && object.contains(name), "'{}' is missing in {}", name,
            object.is_object() ? object.dump().substr(0, 100) : "what is no object");
    const Json& value = object.at(name);
    const bool fits =
        value.type() == type || (type == Json::value_t::number_integer && value.is_number_integer());
    require(fits, "'{}' is {}: expected {}", name, value.dump().substr(0, 100), Json(type).type_name());
    return value;
}

std::string text_of(const Json& object, const char* name) {
    return need(object, name, Json::value_t::string).get<std::string>();
}

std::string type_of(const Json& part) {
    return text_of(part, "type");
}

std::int32_t id_from(const Json& value, const std::string& token) {
    constexpr std::int32_t largest = std::numeric_limits<std::int32_t>::max();
    require(value.is_number_integer() && value >= 0 && value <= largest,
            "the token \"{}\" has id {}, which is out of range: expected a whole number from 0 to {}", token,
            value.dump(), largest);
    return value.get<std::int32_t>();
}

const Json* find_part(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

/// A member that may be missing or null.
bool flag(const Json& object, const char* name, bool otherwise) {
    if (find_part(object, name) == nullptr) return otherwise;
    return need(object, name, Json::value_t::boolean).get<bool>();
}

std::string text_or(const Json& object, const char* name, const char* otherwise) {
    return find_part(object, name) == nullptr ? otherwise : text_of(object, name);
}

std::size_t count_in(const Json& object, const char* name) {
    const Json& value = need(object, name, Json::value_t::number_integer);
    require(value >= 0 && value <= std::numeric_limits<std::int32_t>::max(), "'{}' is {}: out of range", name,
            value.dump());
    return value.get<std::size_t>();
}

/// Calls `one` for every part of a Sequence (of Sequences), or for the part itself.
template <class One>
void for_each_part(const Json* part, const char* list, const One& one) {
    if (part == nullptr) return;
    if (type_of(*part) != "Sequence") {
        one(*part);
        return;
    }
    for (const Json& inner : need(*part, list, Json::value_t::array)) for_each_part(&inner, list, one);
}

std::string pattern_of(const Json& part) {
    const Json& pattern = need(part, "pattern", Json::value_t::object);
    return pattern.contains("String") ? Regex::quoted(text_of(pattern, "String")) : text_of(pattern, "Regex");
}

NormalizeStep normalizer_from(const Json& part) {
    const std::string type = type_of(part);
    if (type == "Prepend") return prepend_step(text_of(part, "prepend"));
    if (type == "Replace") return replace_step(pattern_of(part), text_of(part, "content"));
    if (type == "NFC") return normal_form_step(NormalForm::nfc);
    if (type == "NFD") return normal_form_step(NormalForm::nfd);
    if (type == "NFKC") return normal_form_step(NormalForm::nfkc);
    if (type == "NFKD") return normal_form_step(NormalForm::nfkd);
    if (type == "Lowercase") return lower_case_step();
    if (type == "StripAccents") return strip_accents_step(Marks::all);
    if (type == "Strip") return strip_step(flag(part, "strip_left", true), flag(part, "strip_right", true));
    fail(
        "the normalizer \"{}\" is not implemented; there are Prepend, Replace, NFC, NFD, NFKC, NFKD, "
        "Lowercase, StripAccents, Strip and BertNormalizer",
        type);
}

/// BERT's normaliser as the steps it is made of.
void add_bert_normalizer(const Json& part, std::vector<NormalizeStep>& steps) {
    const bool lower_case = flag(part, "lowercase", true);
    if (flag(part, "clean_text", true)) steps.push_back(clean_text_step());
    if (flag(part, "handle_chinese_chars", true)) steps.push_back(space_around_ideographs_step());
    if (flag(part, "strip_accents", lower_case)) {
        steps.push_back(normal_form_step(NormalForm::nfd));
        steps.push_back(strip_accents_step(Marks::nonspacing));
    }
    if (lower_case) steps.push_back(lower_case_step());
}

SplitBehavior behavior_from(const std::string& name) {
    if (name == "Removed") return SplitBehavior::removed;
    if (name == "Isolated") return SplitBehavior::isolated;
    if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
    if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
    if (name == "Contiguous") return SplitBehavior::contiguous;
    fail("the split behavior \"{}\" is unknown", name);
}

PrependScheme prepend_scheme_from(const Json& part) {
    const bool prefix = flag(part, "add_prefix_space", true);  // how older files say it
    const std::string scheme = text_or(part, "prepend_scheme", prefix ? "always" : "never");
    if (scheme == "always") return PrependScheme::always;
    if (scheme == "first") return PrependScheme::first;
    if (scheme == "never") return PrependScheme::never;
    fail("the Metaspace prepend_scheme \"{}\" is unknown", scheme);
}

constexpr const char* punctuation = R"([!-/:-@\[-`{-~\p{P}])";

void add_pre_tokenizer(const Json& part, BpeDefinition& definition) {
    require(!definition.byte_level, "a pre-tokenizer after ByteLevel is not implemented");
    const std::string type = type_of(part);
    auto& steps = definition.split;
    if (type == "ByteLevel") {
        if (flag(part, "add_prefix_space", true)) steps.push_back(prefix_space_step());
        if (flag(part, "use_regex", true)) steps.push_back(split_step(gpt2_pattern, SplitBehavior::isolated));
        definition.byte_level = true;
    } else if (type == "Digits") {
        const bool individual = flag(part, "individual_digits", false);
        steps.push_back(split_step(individual ? R"(\p{N})" : R"(\p{N}+)", SplitBehavior::isolated));
    } else if (type == "Split") {
        steps.push_back(split_step(pattern_of(part), behavior_from(text_of(part, "behavior")),
                                   flag(part, "invert", false)));
    } else if (type == "Metaspace") {
        steps.push_back(metaspace_step(text_of(part, "replacement"), prepend_scheme_from(part),
                                       flag(part, "split", true)));
    } else if (type == "BertPreTokenizer") {
        steps.push_back(split_step(R"(\s+)", SplitBehavior::removed));
        steps.push_back(split_step(punctuation, SplitBehavior::isolated));
    } else if (type == "Whitespace") {
        const std::string words = fmt::format("[{0}]+|[^\\s{0}]+", word_characters);
        steps.push_back(split_step(words, SplitBehavior::removed, true));
    } else if (type == "WhitespaceSplit") {
        steps.push_back(split_step(R"(\s+)", SplitBehavior::removed));
    } else if (type == "Punctuation") {
        steps.push_back(split_step(punctuation, behavior_from(text_or(part, "behavior", "Isolated"))));
    } else {
        fail(
            "the pre-tokenizer \"{}\" is not implemented; there are ByteLevel, Digits, Split, Metaspace, "
            "Whitespace, WhitespaceSplit, Punctuation and BertPreTokenizer",
            type);
    }
}

DecodeStep decoder_from(const Json& part) {
    const std::string type = type_of(part);
    if (type == "Replace") return decode_replace_step(pattern_of(part), text_of(part, "content"));
    if (type == "ByteFallback") return decode_byte_fallback_step();
    if (type == "Fuse") return decode_fuse_step();
    if (type == "Strip")
        return decode_strip_step(text_of(part, "content"), count_in(part, "start"), count_in(part, "stop"));
    if (type == "Metaspace")
        return decode_metaspace_step(text_of(part, "replacement"), prepend_scheme_from(part));
    if (type == "WordPiece")
        return decode_word_piece_step(text_of(part, "prefix"), flag(part, "cleanup", true));
    fail(
        "the decoder \"{}\" is not implemented; there are ByteLevel, Replace, ByteFallback, Fuse, Strip, "
        "Metaspace and WordPiece",
        type);
}

/// Vocabularies have few gaps, and a damaged id must not fill the memory.
std::int64_t id_limit(const Json& file) {
    std::size_t size = 0;
    const auto add = [&](const Json* part) { size += part != nullptr ? part->size() : 0; };
    if (const Json* model = find_part(file, "model")) add(find_part(*model, "vocab"));
    add(find_part(file, "added_tokens"));
    return 4 * static_cast<std::int64_t>(size) + 1000;
}

void check_limit(const std::string& token, std::int64_t id, std::int64_t limit) {
    require(id < limit, "the token \"{}\" has id {}, which is out of range: far beyond the number of tokens",
            token, id);
}

void read_vocabulary(const Json& model, BpeDefinition& definition, std::int64_t limit) {
    std::vector<bool> taken;
    for (const auto& [token, value] : need(model, "vocab", Json::value_t::object).items()) {
        const std::int32_t id = id_from(value, token);
        check_limit(token, id, limit);
        const auto place = static_cast<std::size_t>(id);
        if (place >= definition.tokens.size()) definition.tokens.resize(place + 1);
        taken.resize(definition.tokens.size());
        require(!taken[place], "model.vocab: \"{}\" and \"{}\" have the same id {}", definition.tokens[place],
                token, id);
        taken[place] = true;
        definition.tokens[place] = token;
    }
}

std::int32_t unknown_from(const Json& model, const std::string& token) {
    const auto found = model.at("vocab").find(token);
    require(found != model.at("vocab").end(), "the unk_token \"{}\" is not in model.vocab", token);
    return id_from(*found, token);
}

void read_word_piece(const Json& model, BpeDefinition& definition, std::int64_t limit) {
    read_vocabulary(model, definition, limit);
    definition.unknown = unknown_from(model, text_or(model, "unk_token", "[UNK]"));
    const bool has_longest = find_part(model, "max_input_chars_per_word") != nullptr;
    definition.word_piece = WordPiece{text_or(model, "continuing_subword_prefix", "##"),
                                      has_longest ? count_in(model, "max_input_chars_per_word") : 100};
}

std::pair<std::string, std::string> merge_from(const Json& merge) {
    if (merge.is_string()) return split_merge(merge.get<std::string>());
    require(merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string(),
            "the merge {} is neither a string nor a pair of strings", merge.dump().substr(0, 100));
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
}

void read_model(const Json& model, BpeDefinition& definition, std::int64_t limit) {
    const std::string type = text_or(model, "type", "BPE");
    require(type == "BPE" || type == "WordPiece",
            "the model \"{}\" is not implemented; there are BPE and WordPiece", type);
    if (type == "WordPiece") {
        read_word_piece(model, definition, limit);
        return;
    }
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"})
        require(text_or(model, name, "").empty(), "the model option \"{}\" is not implemented", name);
    read_vocabulary(model, definition, limit);
    for (const Json& merge : need(model, "merges", Json::value_t::array))
        definition.merges.push_back(merge_from(merge));
    definition.byte_fallback = flag(model, "byte_fallback", false);
    definition.fuse_unknown = flag(model, "fuse_unk", false);
    definition.ignore_merges = flag(model, "ignore_merges", false);
    if (find_part(model, "unk_token") != nullptr)
        definition.unknown = unknown_from(model, text_of(model, "unk_token"));
}

void read_added_tokens(const Json& list, BpeDefinition& definition, std::int64_t limit) {
    require(list.is_array(), "'added_tokens' is not a list");
    for (const bool special : {true, false})  // of two that are one when normalised, the special one counts
        for (const Json& entry : list) {
            const TokenEntry token = token_entry_from(entry);
            if (token.special != special) continue;
            require(entry.contains("id"), "the added token \"{}\" has no 'id'", token.content);
            const std::int32_t id = id_from(entry.at("id"), token.content);
            check_limit(token.content, id, limit);
            (token.normalized ? definition.added_normalized : definition.added)
                .push_back({token.content, id, token.lstrip, token.rstrip, token.single_word});
        }
}

/// A template that puts special tokens around the text names the beginning and end of one.
void read_template(const Json& part, BpeDefinition& definition) {
    const std::string type = type_of(part);
    const auto last_of_pair = [&](const char* name) {
        const Json& pair = need(part, name, Json::value_t::array);
        require(pair.size() == 2, "'{}' is {}: expected a token and its id", name,
                pair.dump().substr(0, 100));
        return id_from(pair[1], name);
    };
    if (type == "BertProcessing" || type == "RobertaProcessing") {
        definition.bos = last_of_pair("cls");
        definition.eos = last_of_pair("sep");
    }
    if (type != "TemplateProcessing") return;
    bool before = true;
    for (const Json& item : need(part, "single", Json::value_t::array)) {
        if (item.contains("Sequence")) {
            before = false;
            continue;
        }
        const std::string name = text_of(need(item, "SpecialToken", Json::value_t::object), "id");
        const Json& special =
            need(need(part, "special_tokens", Json::value_t::object), name.c_str(), Json::value_t::object);
        const Json& ids = need(special, "ids", Json::value_t::array);
        require(!ids.empty(), "the special token \"{}\" has no id", name);
        (before ? definition.bos : definition.eos) = id_from(ids[0], name);
    }
}

void read_normalizer(const Json& file, BpeDefinition& definition) {
    for_each_part(find_part(file, "normalizer"), "normalizers", [&](const Json& part) {
        if (type_of(part) == "BertNormalizer") {
            add_bert_normalizer(part, definition.normalize);
        } else {
            definition.normalize.push_back(normalizer_from(part));
        }
    });
}

/// `is_complete`: whether the parts before it have been read.
void read_decoder(const Json& file, bool is_complete, BpeDefinition& definition) {
    const Json* decoder = find_part(file, "decoder");
    if (decoder == nullptr && !definition.byte_level) definition.separator = std::string(1, ' ');
    bool byte_level_decoder = decoder == nullptr;
    for_each_part(decoder, "decoders", [&](const Json& part) {
        if (type_of(part) == "ByteLevel") {
            byte_level_decoder = true;
        } else {
            definition.decode.push_back(decoder_from(part));
        }
    });
    require(!is_complete || byte_level_decoder == definition.byte_level || decoder == nullptr,
            "ByteLevel must be both pre-tokenizer and decoder, or neither");
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view data, std::string hash) {
    const Json file = parse_json(data);
    require(file.is_object(), "damaged: not a JSON object");
    BpeDefinition definition;
    const std::int64_t limit = id_limit(file);
    ProblemList problems;
    const auto attempt = [&](const auto& read) {
        try {
            read();
        } catch (const Error& error) {
            problems.add({}, error.what());
        }
    };
    attempt([&] { read_model(need(file, "model", Json::value_t::object), definition, limit); });
    attempt([&] {
        if (const Json* added = find_part(file, "added_tokens")) read_added_tokens(*added, definition, limit);
    });
    attempt([&] { read_normalizer(file, definition); });
    attempt([&] {
        for_each_part(find_part(file, "pre_tokenizer"), "pretokenizers",
                      [&](const Json& part) { add_pre_tokenizer(part, definition); });
    });
    attempt([&] {
        for_each_part(find_part(file, "post_processor"), "processors",
                      [&](const Json& part) { read_template(part, definition); });
    });
    attempt([&] { read_decoder(file, problems.count() == 0, definition); });
    problems.throw_if_any();
    return std::make_unique<BpeTokenizer>(std::move(definition), std::move(hash));
}

}  // namespace jlcm
