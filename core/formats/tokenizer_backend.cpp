#include "core/formats/tokenizer_backend.hpp"

#include "core/base/error.hpp"
#include "core/formats/json.hpp"
#include "core/formats/sentencepiece_model.hpp"
#include "core/formats/tokenizer_parts.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr const char* dummy_prefix = "\xE2\x96\x81";

bool starts_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
}

std::int64_t characters_of(std::string_view text) {
    return std::ranges::count_if(text, starts_character);
}

/// A way to make a piece of two others.
struct Merge {
    std::string_view left;
    std::string_view right;
    float score = 0;
    std::int64_t left_length = 0;  ///< in characters
    std::int64_t right_length = 0;
};

/// LlamaConverter asks its tokenizer, not the model, for the names of the first three pieces.
constexpr std::size_t renamed_pieces = 3;

/// generate_merges of transformers' convert_slow_tokenizer.py: every cut of every piece into two pieces; the
/// piece with the highest score first.
json merges_of(const std::vector<std::string>& pieces, const SentencePieceModel& model) {
    std::unordered_map<std::string_view, std::size_t> ids;
    for (std::size_t id = 0; id < model.pieces.size(); ++id) ids[model.pieces[id]] = id;
    std::unordered_map<std::string_view, float> scores;
    for (std::size_t id = 0; id < pieces.size(); ++id)
        scores[pieces[id]] = id < renamed_pieces ? 0.0F : model.scores[id];
    std::vector<Merge> merges;
    std::vector<Merge> own;
    std::set<std::string_view> seen;
    for (const std::string_view piece : pieces) {
        if (!seen.insert(piece).second) continue;
        own.clear();
        const std::int64_t length = characters_of(piece);
        std::int64_t before = 0;
        for (std::size_t cut = 1; cut < piece.size(); ++cut) {
            if (!starts_character(piece[cut])) continue;
            ++before;
            const Merge merge{piece.substr(0, cut), piece.substr(cut), scores.at(piece), before,
                              length - before};
            if (ids.contains(merge.left) && ids.contains(merge.right)) own.push_back(merge);
        }
        std::ranges::stable_sort(
            own, {}, [&](const Merge& one) { return std::pair(ids.at(one.left), ids.at(one.right)); });
        merges.insert(merges.end(), own.begin(), own.end());
    }
    std::ranges::stable_sort(merges, std::greater<>(), [](const Merge& one) {
        return std::tuple(one.score, one.left_length, one.right_length);
    });
    json list = json::array();
    for (const Merge& merge : merges) list.push_back({std::string(merge.left), std::string(merge.right)});
    return list;
}

json parsed_vocabulary(std::string_view text) {
    json vocabulary = parse_json(text);
    require(vocabulary.is_object(), "not an object of ids by token");
    return vocabulary;
}

void require_utf8(std::string_view text) {
    try {
        (void)json(text).dump();
    } catch (const json::exception&) {
        fail("not valid UTF-8");
    }
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (lines.back().ends_with('\r')) lines.back().remove_suffix(1);
    }
    return lines;
}

/// A line's two tokens. Tokens spell bytes by printable characters, so that only ASCII's spaces part them.
std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    constexpr std::string_view spaces = " \t\r\v\f";
    for (std::size_t begin = line.find_first_not_of(spaces); begin != std::string_view::npos;) {
        const std::size_t end = std::min(line.find_first_of(spaces, begin), line.size());
        words.emplace_back(line.substr(begin, end - begin));
        begin = line.find_first_not_of(spaces, end);
    }
    return words;
}

/// The merges of merges.txt from line `first` on (counted from 0); an empty line ends nothing.
json parsed_merges(std::string_view text, std::size_t first) {
    require_utf8(text);
    json merges = json::array();
    std::set<std::vector<std::string>> seen;
    const auto lines = lines_of(text);
    for (std::size_t i = first; i < lines.size(); ++i) {
        const auto words = words_of(lines[i]);
        if (words.empty()) continue;
        require(words.size() == 2, "merges.txt:{}: \"{}\" is not two tokens", i + 1, lines[i]);
        if (seen.insert(words).second) merges.push_back({words[0], words[1]});
    }
    return merges;
}

}  // namespace

json llama_tokenizer(std::string_view model, const LlamaSettings& settings) {
    const SentencePieceModel file = parse_sentencepiece_model(model);
    require(
        file.is_byte_pair,
        "a SentencePiece model that is no byte-pair encoding (unigram, for example) is read only if no other "
        "tokenizer file lies beside it");
    json vocabulary = json::object();
    for (const std::string& piece : file.pieces) require_utf8(piece);
    require_utf8(file.unknown_piece);
    std::vector<std::string> pieces = file.pieces;
    for (const auto& [id, name] : settings.names)
        if (id < std::min(renamed_pieces, pieces.size())) pieces[id] = name;
    for (std::size_t id = 0; id < pieces.size(); ++id) vocabulary[pieces[id]] = id;
    json bpe = byte_pair_model(std::move(vocabulary), merges_of(pieces, file));
    bpe["unk_token"] = file.unknown_piece;
    bpe["fuse_unk"] = true;
    bpe["byte_fallback"] = true;

    json result = tokenizer_with_model(std::move(bpe));
    for (std::size_t id = 0; id < file.pieces.size(); ++id)
        if (file.types[id] == 3 || file.types[id] == 4)
            result["added_tokens"].push_back(added_token(id, file.pieces[id], file.types[id] == 3));
    const json spaces{{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", dummy_prefix}};
    if (settings.legacy) {
        json steps = json::array();
        if (settings.add_prefix_space) steps.push_back({{"type", "Prepend"}, {"prepend", dummy_prefix}});
        steps.push_back(spaces);
        result["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
    } else {
        result["pre_tokenizer"] = {{"type", "Metaspace"},
                                   {"replacement", dummy_prefix},
                                   {"prepend_scheme", settings.add_prefix_space ? "first" : "never"},
                                   {"split", false}};
    }
    json decoders =
        json::array({{{"type", "Replace"}, {"pattern", {{"String", dummy_prefix}}}, {"content", " "}},
                     {{"type", "ByteFallback"}},
                     {{"type", "Fuse"}}});
    if (settings.add_prefix_space)
        decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    result["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
    return result;
}

json gpt2_tokenizer(std::string_view vocabulary, std::string_view merges, bool add_prefix_space) {
    // GPT2Tokenizer takes the lines between the first and what stands behind the last line feed, whatever
    // they are.
    merges = merges.substr(0, merges.rfind('\n') + 1);
    json result =
        tokenizer_with_model(byte_pair_model(parsed_vocabulary(vocabulary), parsed_merges(merges, 1)));
    result["pre_tokenizer"] = byte_level(add_prefix_space, true);
    result["decoder"] = byte_level(true, true);
    result["post_processor"] = byte_level(true, true);
    return result;
}

json qwen2_tokenizer(std::string_view vocabulary, std::string_view merges) {
    const std::size_t first = merges.starts_with("#version:") ? 1 : 0;
    json result =
        tokenizer_with_model(byte_pair_model(parsed_vocabulary(vocabulary), parsed_merges(merges, first)));
    result["normalizer"] = {{"type", "NFC"}};
    const json pattern{
        {"Regex",
         R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};
    const json split{{"type", "Split"}, {"pattern", pattern}, {"behavior", "Isolated"}, {"invert", false}};
    result["pre_tokenizer"] = {{"type", "Sequence"},
                               {"pretokenizers", json::array({split, byte_level(false, false)})}};
    result["decoder"] = byte_level(true, true);
    result["post_processor"] = byte_level(true, true);
    return result;
}

json bert_tokenizer(std::string_view vocabulary, std::string_view unknown_token) {
    require_utf8(vocabulary);
    json ids = json::object();
    const auto lines = lines_of(vocabulary);
    for (std::size_t i = 0; i < lines.size(); ++i) ids[std::string(lines[i])] = i;
    json result = tokenizer_with_model({{"type", "WordPiece"},
                                        {"unk_token", unknown_token},
                                        {"continuing_subword_prefix", "##"},
                                        {"max_input_chars_per_word", 100},
                                        {"vocab", std::move(ids)}});
    result["normalizer"] = {{"type", "BertNormalizer"},
                            {"clean_text", true},
                            {"handle_chinese_chars", true},
                            {"strip_accents", nullptr},
                            {"lowercase", true}};
    result["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
    result["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
    return result;
}

}  // namespace jlcm
