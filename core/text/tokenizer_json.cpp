#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/formats/gguf_pre_tokenizer.hpp"
#include "core/formats/json.hpp"
#include "core/text/bpe_tokenizer.hpp"
#include "core/text/tokenizer_readers.hpp"
#include "core/text/unicode_steps.hpp"

namespace jlcm {

namespace {

using Json = nlohmann::json;

std::string type_of(const Json& part) {
    return part.at("type").get<std::string>();
}

/// A member that may be missing or null.
template <class Value>
Value member(const Json& object, const char* name, Value fallback) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? fallback : found->get<Value>();
}

const Json* find_part(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

/// Calls `one` for every part of a Sequence (of Sequences), or for the part itself.
template <class One>
void for_each_part(const Json* part, const char* list, const One& one) {
    if (part == nullptr) return;
    if (type_of(*part) != "Sequence") {
        one(*part);
        return;
    }
    for (const Json& inner : part->at(list)) for_each_part(&inner, list, one);
}

std::string pattern_of(const Json& pattern) {
    if (pattern.contains("String")) return Regex::quoted(pattern.at("String").get<std::string>());
    return pattern.at("Regex").get<std::string>();
}

NormalizeStep normalizer_from(const Json& part) {
    const std::string type = type_of(part);
    if (type == "Prepend") return prepend_step(part.at("prepend").get<std::string>());
    if (type == "Replace")
        return replace_step(pattern_of(part.at("pattern")), part.at("content").get<std::string>());
    if (type == "NFC") return normal_form_step(NormalForm::nfc);
    if (type == "NFD") return normal_form_step(NormalForm::nfd);
    if (type == "NFKC") return normal_form_step(NormalForm::nfkc);
    if (type == "NFKD") return normal_form_step(NormalForm::nfkd);
    if (type == "Lowercase") return lower_case_step();
    if (type == "StripAccents") return strip_accents_step();
    fail(
        "the normalizer \"{}\" is not implemented; there are Prepend, Replace, NFC, NFD, NFKC, NFKD, "
        "Lowercase, StripAccents and BertNormalizer",
        type);
}

/// BERT's normaliser as the steps it is made of.
void add_bert_normalizer(const Json& part, std::vector<NormalizeStep>& steps) {
    const bool lower_case = member(part, "lowercase", true);
    if (member(part, "clean_text", true)) steps.push_back(clean_text_step());
    if (member(part, "handle_chinese_chars", true)) steps.push_back(space_around_ideographs_step());
    if (member(part, "strip_accents", lower_case)) {
        steps.push_back(normal_form_step(NormalForm::nfd));
        steps.push_back(strip_accents_step());
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
    const bool prefix = member(part, "add_prefix_space", true);  // how older files say it
    const auto scheme = member<std::string>(part, "prepend_scheme", prefix ? "always" : "never");
    if (scheme == "always") return PrependScheme::always;
    if (scheme == "first") return PrependScheme::first;
    if (scheme == "never") return PrependScheme::never;
    fail("the Metaspace prepend_scheme \"{}\" is unknown", scheme);
}

void add_pre_tokenizer(const Json& part, BpeDefinition& definition) {
    require(!definition.byte_level, "a pre-tokenizer after ByteLevel is not implemented");
    const std::string type = type_of(part);
    auto& steps = definition.split;
    if (type == "ByteLevel") {
        if (member(part, "add_prefix_space", true)) steps.push_back(prefix_space_step());
        if (member(part, "use_regex", true))
            steps.push_back(split_step(gpt2_pattern, SplitBehavior::isolated));
        definition.byte_level = true;
    } else if (type == "Digits") {
        const bool individual = member(part, "individual_digits", false);
        steps.push_back(split_step(individual ? R"(\p{N})" : R"(\p{N}+)", SplitBehavior::isolated));
    } else if (type == "Split") {
        steps.push_back(split_step(pattern_of(part.at("pattern")),
                                   behavior_from(part.at("behavior").get<std::string>()),
                                   member(part, "invert", false)));
    } else if (type == "Metaspace") {
        steps.push_back(metaspace_step(part.at("replacement").get<std::string>(), prepend_scheme_from(part),
                                       member(part, "split", true)));
    } else if (type == "BertPreTokenizer") {
        steps.push_back(split_step(R"(\s+)", SplitBehavior::removed));
        steps.push_back(split_step(R"([!-/:-@\[-`{-~\p{P}])", SplitBehavior::isolated));
    } else {
        fail(
            "the pre-tokenizer \"{}\" is not implemented; there are ByteLevel, Digits, Split, Metaspace and "
            "BertPreTokenizer",
            type);
    }
}

DecodeStep decoder_from(const Json& part) {
    const std::string type = type_of(part);
    if (type == "Replace")
        return decode_replace_step(pattern_of(part.at("pattern")), part.at("content").get<std::string>());
    if (type == "ByteFallback") return decode_byte_fallback_step();
    if (type == "Fuse") return decode_fuse_step();
    if (type == "Strip")
        return decode_strip_step(part.at("content").get<std::string>(), part.at("start").get<std::size_t>(),
                                 part.at("stop").get<std::size_t>());
    if (type == "Metaspace")
        return decode_metaspace_step(part.at("replacement").get<std::string>(), prepend_scheme_from(part));
    if (type == "WordPiece")
        return decode_word_piece_step(part.at("prefix").get<std::string>(), member(part, "cleanup", true));
    fail(
        "the decoder \"{}\" is not implemented; there are ByteLevel, Replace, ByteFallback, Fuse, Strip, "
        "Metaspace and WordPiece",
        type);
}

/// Vocabularies have few gaps, and a damaged id must not fill the memory.
std::int64_t id_limit(const Json& vocabulary, const Json* added) {
    return 4 * static_cast<std::int64_t>(vocabulary.size() + (added != nullptr ? added->size() : 0)) + 1000;
}

void set_token(BpeDefinition& definition, const std::string& token, std::int32_t id, std::int64_t limit) {
    require(id >= 0 && id < limit, "the token \"{}\" has id {}, which is out of range", token, id);
    const auto place = static_cast<std::size_t>(id);
    if (place >= definition.tokens.size()) definition.tokens.resize(place + 1);
    definition.tokens[place] = token;
}

void read_vocabulary(const Json& model, BpeDefinition& definition, std::int64_t limit) {
    for (const auto& [token, id] : model.at("vocab").items())
        set_token(definition, token, id.get<std::int32_t>(), limit);
}

void read_word_piece(const Json& model, BpeDefinition& definition, std::int64_t limit) {
    read_vocabulary(model, definition, limit);
    definition.unknown =
        model.at("vocab").at(member<std::string>(model, "unk_token", "[UNK]")).get<std::int32_t>();
    definition.word_piece = WordPiece{member<std::string>(model, "continuing_subword_prefix", "##"),
                                      member<std::size_t>(model, "max_input_chars_per_word", 100)};
}

void read_model(const Json& model, BpeDefinition& definition, std::int64_t limit) {
    const auto type = member<std::string>(model, "type", "BPE");
    require(type == "BPE" || type == "WordPiece",
            "the model \"{}\" is not implemented; there are BPE and WordPiece", type);
    if (type == "WordPiece") {
        read_word_piece(model, definition, limit);
        return;
    }
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"})
        require(member<std::string>(model, name, "").empty(), "the model option \"{}\" is not implemented",
                name);
    read_vocabulary(model, definition, limit);
    for (const Json& merge : model.at("merges")) {
        if (merge.is_array()) {
            definition.merges.emplace_back(merge.at(0).get<std::string>(), merge.at(1).get<std::string>());
            continue;
        }
        definition.merges.push_back(split_merge(merge.get<std::string>()));
    }
    definition.byte_fallback = member(model, "byte_fallback", false);
    definition.fuse_unknown = member(model, "fuse_unk", false);
    definition.ignore_merges = member(model, "ignore_merges", false);
    if (const Json* unknown = find_part(model, "unk_token"))
        definition.unknown = model.at("vocab").at(unknown->get<std::string>()).get<std::int32_t>();
}

void read_added_tokens(const Json& list, BpeDefinition& definition, std::int64_t limit) {
    for (const Json& entry : list) {
        AddedToken token;
        token.content = entry.at("content").get<std::string>();
        token.id = entry.at("id").get<std::int32_t>();
        token.strip_left = member(entry, "lstrip", false);
        token.strip_right = member(entry, "rstrip", false);
        require(!member(entry, "single_word", false),
                "single_word of the added token \"{}\" is not implemented", token.content);
        set_token(definition, token.content, token.id, limit);
        const bool is_normalized = member(entry, "normalized", !member(entry, "special", false));
        (is_normalized ? definition.added_normalized : definition.added).push_back(std::move(token));
    }
}

/// A template that puts special tokens around the text names the beginning and end of one.
void read_template(const Json& part, BpeDefinition& definition) {
    const std::string type = type_of(part);
    if (type == "BertProcessing" || type == "RobertaProcessing") {
        definition.bos = part.at("cls").at(1).get<std::int32_t>();
        definition.eos = part.at("sep").at(1).get<std::int32_t>();
    }
    if (type != "TemplateProcessing") return;
    bool before = true;
    for (const Json& item : part.at("single")) {
        if (item.contains("Sequence")) {
            before = false;
            continue;
        }
        const auto name = item.at("SpecialToken").at("id").get<std::string>();
        const auto id = part.at("special_tokens").at(name).at("ids").at(0).get<std::int32_t>();
        (before ? definition.bos : definition.eos) = id;
    }
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view data, std::string hash) {
    const Json file = parse_json(data);
    BpeDefinition definition;
    const Json* added = find_part(file, "added_tokens");
    const std::int64_t limit = id_limit(file.at("model").at("vocab"), added);
    read_model(file.at("model"), definition, limit);
    if (added != nullptr) read_added_tokens(*added, definition, limit);
    for_each_part(find_part(file, "normalizer"), "normalizers", [&](const Json& part) {
        if (type_of(part) == "BertNormalizer") {
            add_bert_normalizer(part, definition.normalize);
        } else {
            definition.normalize.push_back(normalizer_from(part));
        }
    });
    for_each_part(find_part(file, "pre_tokenizer"), "pretokenizers",
                  [&](const Json& part) { add_pre_tokenizer(part, definition); });
    for_each_part(find_part(file, "post_processor"), "processors",
                  [&](const Json& part) { read_template(part, definition); });

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
    require(byte_level_decoder == definition.byte_level || decoder == nullptr,
            "ByteLevel must be both pre-tokenizer and decoder, or neither");
    return std::make_unique<BpeTokenizer>(std::move(definition), std::move(hash));
}

}  // namespace jlcm
