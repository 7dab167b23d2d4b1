#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/json.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/text/tokenizer.hpp"
#include "tests/support/assets.hpp"

#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

using namespace jlcm;
using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;

namespace {

Json golden(const std::string& name) {
    return Json::parse(read_file(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden" / name));
}

std::string from_hex(const std::string& digits) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
    return bytes;
}

void check_golden(const Tokenizer& tokenizer, const std::string& column) {
    for (const Json& row : golden("tokens.json")) {
        INFO(row.at("name").get<std::string>());
        CHECK(tokenizer.encode(from_hex(row.at("bytes").get<std::string>())) == row.at(column).get<Ids>());
    }
}

/// A byte-level tokenizer.json whose only tokens are the printable ASCII characters and "ab".
Json toy_definition() {
    Json vocabulary;
    for (int c = '!'; c <= '~'; ++c) vocabulary[std::string(1, static_cast<char>(c))] = c - '!';
    vocabulary["ab"] = 94;
    return {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b"}}}},
            {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
            {"decoder", {{"type", "ByteLevel"}}}};
}

/// A byte-level model of tokenizer.json as GGUF metadata.
Json gguf_from(const Json& model, const std::string& pre) {
    std::vector<std::string> tokens(model.at("vocab").size());
    for (const auto& [token, id] : model.at("vocab").items()) tokens.at(id.get<std::size_t>()) = token;
    Json merges = Json::array();
    for (const Json& merge : model.at("merges"))
        merges.push_back(merge.is_array() ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                                          : merge.get<std::string>());
    return {{"tokenizer.ggml.model", "gpt2"},
            {"tokenizer.ggml.pre", pre},
            {"tokenizer.ggml.tokens", tokens},
            {"tokenizer.ggml.merges", merges}};
}

std::string refusal(const std::string& format, const std::string& data) {
    try {
        (void)make_tokenizer({format, data});
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        return error.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("tokenizer.json parts give the ids and texts of Hugging Face tokenizers") {
    const Json file = golden("tokens_small.json");
    const auto texts = file.at("texts").get<std::vector<std::string>>();
    for (const Json& family : file.at("families")) {
        for (const Json& variant : family.at("variants")) {
            Json definition = variant.at("definition");
            definition["model"] = family.at("model");
            const auto tokenizer = make_tokenizer({"tokenizer.json", definition.dump()});
            for (std::size_t i = 0; i < texts.size(); ++i) {
                INFO(variant.at("name").get<std::string>() << ": \"" << texts[i] << "\"");
                const auto ids = variant.at("ids").at(i).get<Ids>();
                CHECK(tokenizer->encode(texts[i]) == ids);
                CHECK(tokenizer->decode(ids) == variant.at("decoded").at(i).get<std::string>());
            }
        }
    }
}

TEST_CASE("the default model's tokenizer gives the ids of Hugging Face tokenizers") {
    const auto model = test::default_model();
    JLCM_SKIP_UNLESS(model, "no default model");
    const auto tokenizer = make_tokenizer(read_gguf_checkpoint(*model).tokenizer);
    check_golden(*tokenizer, "smollm2");
    CHECK(tokenizer->vocabulary_size() == 49152);
    CHECK(tokenizer->bos() == 1);
    CHECK(tokenizer->eos() == 2);

    const auto found = test::assets();
    JLCM_SKIP_UNLESS(found, "no WikiText-2");
    const std::string text = read_file(*found / "data/text/wikitext-2-raw-test.txt");
    const Ids ids = tokenizer->encode(text);
    CHECK(ids.size() == 303415);
    CHECK(sha256(std::as_bytes(std::span(ids))) ==
          "18e663b61dd00f49796c8a6ae498b7dbe009cac4a2eaf3c67fa7d81baf47d945");
    CHECK(tokenizer->decode(ids) == text);
}

TEST_CASE("stories260k's tokenizers give the ids of Hugging Face tokenizers and SentencePiece") {
    const auto found = test::assets();
    JLCM_SKIP_UNLESS(found, "no assets");
    const auto directory = *found / "lm/stories260k";
    const auto json = make_tokenizer({"tokenizer.json", read_file(directory / "tokenizer.json")});
    const auto model = make_tokenizer({"sentencepiece", read_file(directory / "tokenizer.model")});
    check_golden(*json, "stories260k_json");
    check_golden(*model, "stories260k_model");
    for (const auto* tokenizer : {json.get(), model.get()}) {
        CHECK(tokenizer->vocabulary_size() == 512);
        CHECK(tokenizer->bos() == 1);
        const std::string text = "Once upon a time,\n  there was ❤ \t";
        CHECK(tokenizer->decode(tokenizer->encode(text)) == text);
    }
    CHECK(model->eos() == 2);
}

TEST_CASE("SentencePiece models in GGUF metadata give the ids and texts of SentencePiece") {
    const Json file = golden("tokens_small.json");
    const auto texts = file.at("texts").get<std::vector<std::string>>();
    const Json& pieces = file.at("pieces");
    const auto tokenizer = make_tokenizer({"gguf", pieces.at("metadata").dump()});
    CHECK(tokenizer->bos() == 1);
    CHECK(tokenizer->eos() == 2);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        INFO(texts[i]);
        const auto ids = pieces.at("ids").at(i).get<Ids>();
        CHECK(tokenizer->encode(texts[i]) == ids);
        CHECK(tokenizer->decode(ids) == pieces.at("decoded").at(i).get<std::string>());
    }
}

TEST_CASE("GGUF's SentencePiece models cut a text at added tokens, as llama.cpp does") {
    const Json pieces = golden("tokens_small.json").at("pieces");
    Json metadata = pieces.at("metadata");
    const auto parts = make_tokenizer({"gguf", metadata.dump()});
    metadata["tokenizer.ggml.sentencepiece_rules"] = true;
    const auto whole = make_tokenizer({"gguf", metadata.dump()});
    const auto all_tokens = metadata.at("tokenizer.ggml.tokens").get<std::vector<std::string>>();
    const auto id = [&](const char* token) {
        return static_cast<std::int32_t>(std::ranges::find(all_tokens, token) - all_tokens.begin());
    };
    // Every part gets the space that a text gets, and control tokens count.
    Ids expected{id("<user>")};
    for (const char* part : {"cat", " the"}) {
        const Ids own = whole->encode(part);
        expected.insert(expected.end(), own.begin(), own.end());
        expected.push_back(id(part == std::string("cat") ? "<user>" : "</s>"));
    }
    CHECK(parts->encode("<user>cat<user> the</s>") == expected);
    CHECK(whole->encode("<user>cat<user> the</s>") != expected);
    CHECK(parts->encode("the cat") == whole->encode("the cat"));
    CHECK(parts->encode("").empty());
}

TEST_CASE("GGUF's named pre-tokenizers split as tokenizer.json's") {
    const Json file = golden("tokens_small.json");
    const auto texts = file.at("texts").get<std::vector<std::string>>();
    const Json& family = file.at("families").at(0);
    std::map<std::string, Json> variants;
    for (const Json& variant : family.at("variants"))
        variants[variant.at("name").get<std::string>()] = variant;
    for (const auto& [pre, name] :
         {std::pair("gpt-2", "byte level"), std::pair("smaug-bpe", "llama 3 pattern")}) {
        const auto tokenizer = make_tokenizer({"gguf", gguf_from(family.at("model"), pre).dump()});
        for (std::size_t i = 0; i < texts.size(); ++i) {
            INFO(pre << ": " << texts[i]);
            CHECK(tokenizer->encode(texts[i]) == variants.at(name).at("ids").at(i).get<Ids>());
        }
    }
    // Digits one by one never merge.
    Json toy = toy_definition().at("model");
    toy["vocab"]["12"] = 95;
    toy["merges"].push_back("1 2");
    const auto count = [&](const char* pre) {
        return make_tokenizer({"gguf", gguf_from(toy, pre).dump()})->encode("ab1234ab").size();
    };
    for (const char* pre : {"gpt-2", "llama-bpe", "default"}) CHECK(count(pre) == 5);
    for (const char* pre : {"qwen2", "smollm"}) CHECK(count(pre) == 6);

    const std::string message = refusal("gguf", gguf_from(family.at("model"), "no-such-bpe").dump());
    CHECK_THAT(message, Catch::Contains("no-such-bpe") && Catch::Contains("llama-bpe"));
}

TEST_CASE("hard texts neither fail nor take long") {
    const auto tokenizer = make_tokenizer({"tokenizer.json", toy_definition().dump()});
    CHECK(tokenizer->encode("").empty());
    CHECK(tokenizer->decode({}).empty());
    CHECK(tokenizer->encode("   ").empty());  // the toy vocabulary has no space, and no unknown token
    CHECK(tokenizer->encode("ab\xF0\x9F") == Ids{94});
    CHECK(tokenizer->encode(std::string(1 << 20, 'a')).size() == std::size_t{1} << 20U);
    CHECK(tokenizer->encode(std::string(1 << 20, ' ') + "ab") == Ids{94});
    std::string pairs;
    for (int i = 0; i < 1 << 19; ++i) pairs += "ab";
    CHECK(tokenizer->encode(pairs) == Ids(std::size_t{1} << 19U, 94));
}

TEST_CASE("ids outside the vocabulary can't be decoded") {
    const auto tokenizer = make_tokenizer({"tokenizer.json", toy_definition().dump()});
    CHECK_THROWS_AS(tokenizer->decode(Ids{95}), Error);
    CHECK_THROWS_AS(tokenizer->decode(Ids{-1}), Error);
}

TEST_CASE("a tokenizer's hash tells what defines it") {
    const auto one = make_tokenizer({"tokenizer.json", toy_definition().dump()});
    const auto same = make_tokenizer({"tokenizer.json", toy_definition().dump()});
    Json changed = toy_definition();
    changed["pre_tokenizer"]["use_regex"] = false;
    CHECK(one->hash() == same->hash());
    CHECK(one->hash() != make_tokenizer({"tokenizer.json", changed.dump()})->hash());
    CHECK(one->hash().size() == 64);
}

TEST_CASE("what a tokenizer.json asks for and is not implemented is refused by name") {
    const auto with = [](const char* place, const Json& value) {
        Json definition = toy_definition();
        definition[Json::json_pointer(place)] = value;
        return refusal("tokenizer.json", definition.dump());
    };
    using Catch::Contains;
    CHECK_THAT(with("/normalizer", {{"type", "Precompiled"}}), Contains("Precompiled"));
    CHECK_THAT(with("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Nmt"}}}}}),
               Contains("Nmt"));
    CHECK_THAT(with("/pre_tokenizer", {{"type", "UnicodeScripts"}}), Contains("UnicodeScripts"));
    CHECK_THAT(
        with("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}}),
        Contains("(a"));
    CHECK_THAT(with("/model/type", "Unigram"), Contains("Unigram"));
    CHECK_THAT(with("/model/end_of_word_suffix", "</w>"), Contains("end_of_word_suffix"));
    CHECK_THAT(with("/model/merges", {"a zz"}), Contains("zz"));
    CHECK_THAT(with("/model/merges", {"azz"}), Contains("azz"));
    CHECK_THAT(with("/model/vocab/x", 2000000000), Contains("out of range"));
    CHECK_THAT(with("/model/vocab/x", -1), Contains("out of range"));
    CHECK_THAT(with("/model/vocab/x", "three"), Contains("three") && Contains("out of range"));
    CHECK_THAT(with("/model/unk_token", "<none>"), Contains("<none>"));
    CHECK_THAT(with("/model/merges", 3), Contains("'merges'"));
    CHECK_THAT(with("/added_tokens", {{{"id", 1}}}), Contains("'content'"));
    CHECK_THAT(with("/added_tokens", {{{"content", "x"}}}), Contains("no 'id'"));
    CHECK_THAT(with("/post_processor", {{"type", "TemplateProcessing"}, {"single", {{{"SpecialToken", 3}}}}}),
               Contains("SpecialToken"));
}

TEST_CASE("tokens of a GGUF file that are not normal are found in a text as llama.cpp finds them") {
    const std::string underline = "\u2581";
    Json pieces{{"tokenizer.ggml.model", "llama"},
                {"tokenizer.ggml.tokens",
                 {"<unk>", "<s>", "<x>", "<own>", "<added>", underline, "a", "b", underline + "a", "<x>a"}},
                {"tokenizer.ggml.scores", {0, 0, 0, 0, -1000, -1, -2, -3, -4, 0}},
                {"tokenizer.ggml.token_type", {2, 3, 3, 4, 4, 1, 1, 1, 1, 3}}};
    const auto ids = [&](const std::string& text) {
        return make_tokenizer({"gguf", pieces.dump()})->encode(text);
    };
    CHECK(ids("a") == Ids{8});
    CHECK(ids("<s>a<x>b") == Ids{1, 8, 2, 5, 7});  // each part begins as a text does
    CHECK(ids("b<x>a") == Ids{5, 7, 9});           // the longest token, wherever it starts
    CHECK(ids("<unk>") == Ids{0});
    CHECK(ids("<added>a") == Ids{4, 8});
    CHECK(ids("a<own>a") == Ids{8, 3, 8});

    Json bytes{{"tokenizer.ggml.model", "gpt2"},
               {"tokenizer.ggml.pre", "gpt-2"},
               {"tokenizer.ggml.tokens", {"a", "b", "<x", ">", "<", "x", "x>>", "ab"}},
               {"tokenizer.ggml.merges", {"a b"}},
               {"tokenizer.ggml.token_type", {1, 1, 3, 1, 1, 1, 4, 1}}};
    const auto bytes_ids = [&](const std::string& text) {
        return make_tokenizer({"gguf", bytes.dump()})->encode(text);
    };
    CHECK(bytes_ids("ab<xab") == Ids{7, 2, 7});
    CHECK(bytes_ids("<x>>a") == Ids{4, 6, 0});  // the longer one, although the other starts first
    CHECK(bytes_ids("<x>a") == Ids{2, 3, 0});

    for (const auto& [key, value] : std::map<std::string, Json>{{"bos_token_id", -1},
                                                                {"bos_token_id", 4294967295U},
                                                                {"eos_token_id", "x"},
                                                                {"scores", nullptr},
                                                                {"tokens", {1, 2}},
                                                                {"token_type", {1e300}},
                                                                {"add_space_prefix", 1}}) {
        Json damaged = pieces;
        damaged["tokenizer.ggml." + key] = value;
        const std::string message = refusal("gguf", damaged.dump());
        CHECK_THAT(message, Catch::Contains("tokenizer.ggml." + key));
        CHECK_THAT(message, !Catch::Contains("json.exception"));
    }
    pieces.erase("tokenizer.ggml.scores");
    CHECK_THAT(refusal("gguf", pieces.dump()), Catch::Contains("tokenizer.ggml.scores"));
}

TEST_CASE("pre-tokenizers and patterns of words know marks") {
    const auto words = [](const Json& step, const std::string& text) {
        Json definition = toy_definition();
        definition["pre_tokenizer"] = step;
        definition["model"] = {{"type", "WordPiece"}, {"unk_token", "?"}, {"vocab", {{"?", 0}}}};
        definition["decoder"] = nullptr;
        return make_tokenizer({"tokenizer.json", definition.dump()})->encode(text).size();
    };
    const Json whitespace{{"type", "Whitespace"}};
    CHECK(words(whitespace, "a_b \u0939\u093F\u0928\u094D\u0926\u0940!? c") == 4);
    CHECK(words(whitespace, "  ") == 0);
    CHECK(words({{"type", "WhitespaceSplit"}}, " a!? b\u3000c ") == 3);
    CHECK(words({{"type", "Punctuation"}, {"behavior", "Contiguous"}}, "a!?b") == 3);
    const Json split{{"type", "Split"}, {"pattern", {{"Regex", R"(\w+|[\W])"}}}, {"behavior", "Isolated"}};
    CHECK(words(split, "\u0939\u093F\u0928\u094D\u0926\u0940") == 1);
}

TEST_CASE("damaged tokenizers are input errors") {
    CHECK_THAT(refusal("tokenizer.json", ""), Catch::Contains("not valid JSON"));
    CHECK_THAT(refusal("tokenizer.json", "[]"), Catch::Contains("damaged"));
    CHECK_THAT(refusal("gguf", "{}"), Catch::Contains("tokenizer.ggml.model"));
    CHECK_THAT(refusal("gguf", R"({"tokenizer.ggml.model": "bert"})"), Catch::Contains("bert"));
    CHECK_THAT(refusal("gguf", R"({"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["a"],
                                   "tokenizer.ggml.scores": []})"),
               Catch::Contains("0 scores"));
    CHECK_THAT(refusal("gguf", R"({"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["a", "a"],
                                   "tokenizer.ggml.scores": [0, 0]})"),
               Catch::Contains("SentencePiece"));
    CHECK_THAT(refusal("gguf", R"({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
                                   "tokenizer.ggml.tokens": ["a"], "tokenizer.ggml.merges": [],
                                   "tokenizer.ggml.bos_token_id": 7})"),
               Catch::Contains("'tokenizer.ggml.bos_token_id' is 7"));
    // In our words, all at once.
    CHECK_THAT(refusal("gguf", R"({"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["a", 3],
                                   "tokenizer.ggml.bos_token_id": 4294967295, "tokenizer.ggml.add_bos_token": 1})"),
               Catch::Contains("3 at place 1") && Catch::Contains("scores") &&
                   Catch::Contains("add_bos_token") && !Catch::Contains("json.exception"));
    CHECK_THAT(refusal("", ""), Catch::Contains("no tokenizer"));
    CHECK_THAT(refusal("sentencepiece", "no model"), Catch::Contains("SentencePiece"));
    CHECK_THAT(refusal("sentencepiece", ""), Catch::Contains("SentencePiece"));
    CHECK_THAT(refusal("vocab.bin", "x"), Catch::Contains("vocab.bin"));
}
