#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/formats/tokenizer_folder.hpp"
#include "core/text/embedded_tokenizer.hpp"
#include "core/text/tokenizer.hpp"

#include <catch2/catch.hpp>

using namespace jlcm;
using Catch::Contains;
using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;

namespace {

std::string from_hex(const std::string& digits) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
    return bytes;
}

Json golden() {
    return Json::parse(
        read_file(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/tokenizer_folders.json"));
}

TokenizerFiles files_of(const Json& file, const Json& row) {
    TokenizerFiles files;
    for (const auto& [name, value] : row.at("files").items()) {
        const auto content = value.get<std::string>();
        const bool is_shared = content.starts_with('@');
        files[name] =
            is_shared ? from_hex(file.at("shared").at(content.substr(1)).get<std::string>()) : content;
    }
    return files;
}

/// A byte-level tokenizer.json of the letters a to d and "ab".
Json letters() {
    return Json{{"model",
                 {{"type", "BPE"},
                  {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}, {"d", 3}, {"ab", 4}}},
                  {"merges", {"a b"}}}},
                {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}},
                {"decoder", {{"type", "ByteLevel"}}}};
}

Json listed(int id, const std::string& content) {
    return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
            {"rstrip", false}, {"normalized", false}, {"special", false}};
}

const Json generic{{"tokenizer_class", "PreTrainedTokenizerFast"}};

Ids encoded(const TokenizerFiles& files, const std::string& text) {
    return make_tokenizer(assemble_tokenizer(files, Json::object()))->encode(text);
}

std::string refusal(const TokenizerFiles& files, const Json& config = Json::object()) {
    try {
        (void)make_tokenizer(assemble_tokenizer(files, config));
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        return error.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("a folder's files give the ids of transformers' AutoTokenizer") {
    const Json file = golden();
    const auto texts = file.at("texts").get<std::vector<std::string>>();
    for (const Json& row : file.at("folders")) {
        const TokenizerSource source = assemble_tokenizer(files_of(file, row), row.at("config"));
        CHECK(source.format == "tokenizer.json");
        const auto tokenizer = make_tokenizer(source);
        // What a run embeds and an export writes is read as the same, alone too.
        const auto again = make_tokenizer(assemble_tokenizer(
            {{"tokenizer.json", source.data}, {"tokenizer_config.json", generic.dump()}}, {}));
        for (std::size_t i = 0; i < texts.size(); ++i) {
            INFO(row.at("name").get<std::string>() << ": " << texts[i]);
            CHECK(tokenizer->encode(texts[i]) == row.at("ids").at(i).get<Ids>());
            CHECK(make_tokenizer(source)->encode(texts[i]) == row.at("ids").at(i).get<Ids>());
            if (!Json::parse(source.data).at("pre_tokenizer").is_object() ||
                Json::parse(source.data).at("pre_tokenizer").value("add_prefix_space", false) == false)
                CHECK(again->encode(texts[i]) == row.at("ids").at(i).get<Ids>());
        }
    }
}

TEST_CASE("a tokenizer.json that needs no change comes back byte for byte") {
    const std::string text = "  " + letters().dump(1) + "\n";
    const auto source =
        assemble_tokenizer({{"tokenizer.json", text}, {"tokenizer_config.json", generic.dump()}}, {});
    CHECK(source.format == "tokenizer.json");
    CHECK(source.data == text);
}

TEST_CASE("a SentencePiece model alone stays one, and no vocabulary is no tokenizer") {
    const Json file = golden();
    const std::string model = from_hex(file.at("shared").at("user").get<std::string>());
    const auto source = assemble_tokenizer({{"tokenizer.model", model}}, {{"model_type", "llama"}});
    CHECK(source.format == "sentencepiece");
    CHECK(source.data == model);
    // User-defined pieces are the model's; control pieces and the unknown one end a part of the text.
    const auto tokenizer = make_tokenizer(source);
    const auto spelt = [&](const std::string& text) {
        std::string all;
        for (const std::int32_t id : tokenizer->encode(text)) all += std::to_string(id) + " ";
        return all;
    };
    const Ids control = tokenizer->encode("<s></s><unk>");
    CHECK(control == Ids{1, 2, 0});
    CHECK(spelt("<s>the") == "1 " + spelt("the"));
    CHECK(tokenizer->encode("<|a|>").back() == 3);

    CHECK(assemble_tokenizer({}, {}).format.empty());
    CHECK(assemble_tokenizer({{"tokenizer_config.json", "{}"}}, {}).format.empty());
}

TEST_CASE(
    "added tokens: empty, overlapping, whole words, with the space beside them, twice, with another id") {
    Json definition = letters();
    const auto ids = [&](const Json& added, const std::string& text) {
        definition["added_tokens"] = added;
        return encoded({{"tokenizer.json", definition.dump()}, {"tokenizer_config.json", generic.dump()}},
                       text);
    };
    CHECK(ids(Json::array({listed(5, "")}), "ab") == Ids{4});
    CHECK(ids(Json::array({listed(5, "ca"), listed(6, "cab")}), "cabca") == Ids{6, 5});
    CHECK(ids(Json::array({listed(5, "ca"), listed(6, "abb")}), "cabb") ==
          Ids{5, 1, 1});                                           // the leftmost, not the longest
    CHECK(ids(Json::array({listed(900, "ca")}), "ca") == Ids{5});  // ids follow the vocabulary
    CHECK(ids(Json::array({listed(900, "c"), listed(2, "x")}), "cx") == Ids{2, 5});
    CHECK(ids(Json::array({listed(5, "x"), listed(6, "x")}), "x") == Ids{5});
    Json word = listed(5, "ab");
    word["single_word"] = true;
    CHECK(ids(Json::array({word}), "ab cab abc ab_ \u00E9ab ab") == Ids{4, 2, 4, 4, 2, 4, 4, 4});
    Json strips = listed(5, "<x>");
    strips["lstrip"] = strips["rstrip"] = true;
    CHECK(ids(Json::array({strips, listed(6, " ")}), "a \u3000<x> \n b  a") ==
          Ids{0, 6, 5, 6, 6, 1, 6, 6, 0});

    // An id of the vocabulary beyond its size makes a gap, which new tokens fill.
    definition["model"]["vocab"]["z"] = 9;
    CHECK(ids(Json::array({listed(10, "<x>")}), "<x>z") == Ids{6, 9});
}

TEST_CASE("folders that contradict themselves or are damaged are refused with file, key and all reasons") {
    const std::string good = letters().dump();
    const auto with = [&](const char* name, const std::string& content) {
        TokenizerFiles files{{"tokenizer.json", good}};
        files[name] = content;
        return refusal(files);
    };
    CHECK_THAT(with("tokenizer.json", ""), Contains("tokenizer.json: not valid JSON"));
    CHECK_THAT(with("tokenizer.json", "[]"), Contains("tokenizer.json: there is no object 'model'"));
    CHECK_THAT(with("tokenizer.json", "\xFF"), Contains("tokenizer.json: not valid JSON"));
    CHECK_THAT(with("tokenizer_config.json", ""), Contains("tokenizer_config.json: not valid JSON"));
    CHECK_THAT(with("tokenizer_config.json", "[1]"), Contains("tokenizer_config.json: not a JSON object"));
    CHECK_THAT(with("tokenizer_config.json", R"({"tokenizer_class": 3})"),
               Contains("'tokenizer_class' is 3"));
    CHECK_THAT(with("tokenizer_config.json", R"({"add_prefix_space": "yes"})"),
               Contains("'add_prefix_space'"));
    CHECK_THAT(with("tokenizer_config.json", R"({"split_special_tokens": true})"),
               Contains("split_special_tokens"));
    CHECK_THAT(with("tokenizer_config.json", R"({"added_tokens_decoder": []})"),
               Contains("added_tokens_decoder"));
    CHECK_THAT(with("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})"),
               Contains("\"x\" is not an id"));
    CHECK_THAT(
        with("tokenizer_config.json", R"({"added_tokens_decoder": {"99999999999": {"content": "a"}}})"),
        Contains("99999999999"));
    CHECK_THAT(
        with("tokenizer_config.json", R"({"added_tokens_decoder": {"7": {"content": "a", "lstrip": 1}}})"),
        Contains("'lstrip' of \"a\" is 1"));
    CHECK_THAT(with("tokenizer_config.json", R"({"bos_token": 3})"), Contains("bos_token: 3"));
    CHECK_THAT(with("special_tokens_map.json", R"({"additional_special_tokens": "x"})"),
               Contains("additional_special_tokens: not a list"));
    CHECK_THAT(with("added_tokens.json", R"({"<x>": 7, "<y>": 7})"), Contains("the same id 7"));
    CHECK_THAT(with("added_tokens.json", R"({"<x>": "7"})"), Contains("added_tokens.json: the id \"7\""));
    CHECK_THAT(with("added_tokens.json", R"({"<x>": -1})"), Contains("-1"));

    Json same = letters();
    same["model"]["vocab"]["e"] = 2;
    CHECK_THAT(refusal({{"tokenizer.json", same.dump()}}), Contains("\"c\" and \"e\" have the same id 2"));
    Json far = letters();
    far["model"]["vocab"]["e"] = 4000000000U;
    CHECK_THAT(refusal({{"tokenizer.json", far.dump()}}), Contains("4000000000"));

    // Everything at once.
    const std::string all = refusal({{"tokenizer.json", R"({"model": {"type": "BPE"}, "added_tokens": 3})"},
                                     {"tokenizer_config.json", R"({"bos_token": [], "legacy": 1})"},
                                     {"added_tokens.json", "x"}});
    for (const char* reason :
         {"'added_tokens' is not a list", "'legacy' is 1", "bos_token", "added_tokens.json"})
        CHECK_THAT(all, Contains(reason));
    Json parts = letters();
    parts["normalizer"] = {{"type", "Nmt"}};
    parts["pre_tokenizer"] = {{"type", "UnicodeScripts"}};
    parts["model"]["merges"] = {"azz"};
    const std::string unknown = refusal({{"tokenizer.json", parts.dump()}});
    for (const char* reason : {"Nmt", "UnicodeScripts", "azz"}) CHECK_THAT(unknown, Contains(reason));
}

TEST_CASE("what a class reads if there is no tokenizer.json is asked for by name") {
    const Json llama{{"model_type", "llama"}};
    const Json gpt2{{"model_type", "gpt2"}};
    const std::string vocabulary = R"({"a": 0, "b": 1, "ab": 2})";
    CHECK_THAT(refusal({{"vocab.json", vocabulary}, {"merges.txt", "#\na b\n"}}, llama),
               Contains("tokenizer.model is missing") && Contains("LlamaTokenizer"));
    CHECK_THAT(refusal({{"vocab.json", vocabulary}}, gpt2), Contains("merges.txt is missing"));
    CHECK_THAT(refusal({{"vocab.json", vocabulary}, {"merges.txt", "#\na b\n"}}, {{"model_type", "new"}}),
               Contains("tokenizer.json is missing") && Contains("GPT2Tokenizer"));
    CHECK_THAT(refusal({{"vocab.json", "3"}, {"merges.txt", "#\na b\n"}}, gpt2),
               Contains("vocab.json: not an object"));
    CHECK_THAT(refusal({{"vocab.json", vocabulary}, {"merges.txt", "#\na b\na b c\n"}}, gpt2),
               Contains("merges.txt:3"));
    CHECK_THAT(refusal({{"vocab.json", vocabulary}, {"merges.txt", "#\n\xFF b\n"}}, gpt2), Contains("UTF-8"));
    CHECK_THAT(refusal({{"tokenizer.model", "no model"}, {"tokenizer_config.json", "{}"}}, llama),
               Contains("tokenizer.model"));
    CHECK_THAT(refusal({{"tokenizer.model", ""}, {"tokenizer_config.json", "{}"}}, llama),
               Contains("no pieces"));
    const auto tokenizer = make_tokenizer(
        assemble_tokenizer({{"vocab.json", vocabulary}, {"merges.txt", "#version: 0.2\r\na b\r\n"}}, gpt2));
    CHECK(tokenizer->encode("abba") == Ids{2, 1, 0});
}

TEST_CASE("a token without a row in the embedding is refused if a text has it") {
    Json definition = letters();
    definition["added_tokens"] = Json::array({listed(5, "<pad>"), listed(6, "<x>")});
    const auto make = [&] { return make_tokenizer({"tokenizer.json", definition.dump()}); };
    CHECK(with_embedding(make(), 7)->encode("<pad><x>") == Ids{5, 6});
    const auto tokenizer = with_embedding(make(), 5);
    CHECK(tokenizer->encode("abc") == Ids{4, 2});
    CHECK(tokenizer->vocabulary_size() == 7);
    CHECK(tokenizer->hash() == make()->hash());
    CHECK(tokenizer->decode(Ids{0, 5}) == "a<pad>");
    try {
        (void)tokenizer->encode("a<pad>b<x><pad>");
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        CHECK_THAT(error.what(),
                   Contains("\"<pad>\" (id 5, 2 times), \"<x>\" (id 6, 1 times)") && Contains("5 rows"));
    }
}
