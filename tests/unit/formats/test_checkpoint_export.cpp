// Small models made here, through every format and back.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/rng.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/checkpoint_export.hpp"
#include "core/formats/gguf.hpp"
#include "core/formats/gguf_export.hpp"
#include "core/formats/gguf_tokenizer.hpp"
#include "core/formats/llama.hpp"
#include "core/formats/safetensors.hpp"
#include "core/formats/sentencepiece_model.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/mutation.hpp"
#include "tests/support/temporary.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace fs = std::filesystem;
using jlcm::Checkpoint;
using jlcm::Encoding;
using jlcm::Tensor;
using jlcm::TensorInfo;
using jlcm::test::Bytes;
using jlcm::test::TemporaryDirectory;
using nlohmann::json;

namespace {

const jlcm::GgufFamily& llama = jlcm::gguf_families().front();

json small_config() {
    return jlcm::complete_config({{"model_type", "llama"},
                                  {"hidden_size", 24},
                                  {"intermediate_size", 40},
                                  {"num_hidden_layers", 2},
                                  {"num_attention_heads", 4},
                                  {"num_key_value_heads", 2},
                                  {"head_dim", 8},
                                  {"vocab_size", 12},
                                  {"rope_theta", 500000.0},
                                  {"bos_token_id", 1},
                                  {"eos_token_id", 2}});
}

/// A byte-level BPE of a few tokens: an added one, one unused id.
constexpr const char* small_tokenizer = R"({
    "version": "1.0", "normalizer": null,
    "added_tokens": [{"id": 1, "content": "<s>", "special": true}, {"id": 2, "content": "</s>", "special": true},
                     {"id": 10, "content": "<tool>", "special": false}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false},
    "post_processor": null, "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "merges": ["a b", ["ab", "c"]],
              "vocab": {"x": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4, "c": 5, "ab": 6, "abc": 7, "y": 8, "z": 9}}})";

Checkpoint small_model() {
    Checkpoint model;
    model.config = small_config();
    model.tokenizer = {"tokenizer.json", small_tokenizer};
    model.extra = {{"name", "small"}, {"chat_template", "{{ messages }}"}};
    return model;
}

/// Normal values that depend on the name only.
Tensor random_values(const TensorInfo& info) {
    Tensor values = Tensor::empty(info.shape);
    const jlcm::Rng rng(5, info.name);
    for (std::int64_t i = 0; i < values.size(); ++i)
        values.data<float>()[i] = static_cast<float>(rng.normal(static_cast<std::uint64_t>(i)));
    return values;
}

bool equal(const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() &&
           std::equal(a.values<float>().begin(), a.values<float>().end(), b.values<float>().begin());
}

/// The safetensors file of a model with some tensors changed.
void write_weights(const fs::path& path, const std::vector<TensorInfo>& tensors) {
    auto file = jlcm::begin_safetensors(path, {}, tensors);
    for (const auto& tensor : tensors) file.write_values(random_values(tensor).values<float>());
    file.commit();
}

std::string refusal(const fs::path& path) {
    try {
        (void)jlcm::read_checkpoint(path);
    } catch (const jlcm::Error& error) {
        REQUIRE(error.kind() == jlcm::ErrorKind::input);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("a model survives export to either format, bit for bit in F32") {
    const TemporaryDirectory directory;
    auto model = small_model();
    const bool tied = GENERATE(false, true);
    const bool biased = GENERATE(false, true);
    const json scaling = GENERATE(json(), json{{"rope_type", "linear"}, {"factor", 2.5}},
                                  json{{"rope_type", "llama3"},
                                       {"factor", 32.0},
                                       {"low_freq_factor", 1.0},
                                       {"high_freq_factor", 4.0},
                                       {"original_max_position_embeddings", 8192}});
    model.config["tie_word_embeddings"] = tied;
    model.config["attention_bias"] = biased;
    model.config["mlp_bias"] = biased;
    model.config["rope_scaling"] = scaling;
    const auto path = directory.path() / GENERATE("model.gguf", "folder");
    CAPTURE(tied, biased, scaling.dump(), path);
    if (path.extension() == ".gguf") {
        jlcm::write_gguf_checkpoint(path, model, random_values, Encoding::f32);
    } else {
        jlcm::write_huggingface_checkpoint(path, model, random_values, Encoding::f32);
    }
    const auto read = jlcm::read_checkpoint(path);
    for (const auto& [key, value] : model.config.items()) {
        CAPTURE(key);
        REQUIRE(read.config.at(key) == value);
    }
    for (const auto& info : jlcm::model_tensors(model.config)) {
        CAPTURE(info.name);
        REQUIRE(equal(jlcm::decode(read.tensor(info.name)), random_values(info)));
    }
    REQUIRE(read.tensors.size() == jlcm::model_tensors(model.config).size());
    REQUIRE(read.extra.value("chat_template", json()).is_null() == (path.extension() != ".gguf"));
}

TEST_CASE("GGUF holds query and key rows interleaved, other rows as they are") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "model.gguf";
    jlcm::write_gguf_checkpoint(path, small_model(), random_values, Encoding::f32);
    const jlcm::MappedFile file(path);
    for (const auto& tensor : jlcm::parse_gguf(file.bytes()).tensors) {
        CAPTURE(tensor.name);
        const auto stored = jlcm::decode(tensor);
        const auto name = jlcm::huggingface_name(tensor.name, llama);
        const auto source = random_values({name, tensor.shape});
        const bool rotary = name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight");
        REQUIRE(equal(stored, source) == !rotary);
        if (!rotary) continue;
        // numpy, as llama.cpp converts: w.reshape(heads, 2, 4, -1).swapaxes(1, 2).reshape(w.shape)
        for (std::int64_t head = 0; head < tensor.rows() / 8; ++head)
            for (std::int64_t half = 0; half < 2; ++half)
                for (std::int64_t i = 0; i < 4; ++i)
                    REQUIRE(equal(stored.slice(head * 8 + 2 * i + half, head * 8 + 2 * i + half + 1),
                                  source.slice(head * 8 + 4 * half + i, head * 8 + 4 * half + i + 1)));
    }
}

TEST_CASE("16-bit exports round to nearest, and refuse what F16 can't hold") {
    const TemporaryDirectory directory;
    const auto encoding = GENERATE(Encoding::f16, Encoding::bf16);
    const auto path = directory.path() / "model.gguf";
    jlcm::write_gguf_checkpoint(path, small_model(), random_values, encoding);
    const auto read = jlcm::read_checkpoint(path);
    for (const auto& info : jlcm::model_tensors(small_config())) {
        const auto& stored = read.tensor(info.name);
        const auto expected = info.shape.size() == 1 ? Encoding::f32 : encoding;
        REQUIRE(stored.encoding == expected);
        REQUIRE(equal(jlcm::decode(stored),
                      jlcm::decode({info, jlcm::encode(random_values(info).values<float>(),
                                                       Encoding::f32)})) == (expected == Encoding::f32));
    }
    const auto large = [](const TensorInfo& info) {
        Tensor values = random_values(info);
        values.data<float>()[0] = 1e6F;
        return values;
    };
    const auto other = directory.path() / "other.gguf";
    if (encoding == Encoding::f16) {
        REQUIRE_THROWS_WITH(jlcm::write_gguf_checkpoint(other, small_model(), large, encoding),
                            Catch::Contains("beyond the range of F16"));
        REQUIRE_FALSE(fs::exists(other));
    }
    REQUIRE_THROWS_AS(jlcm::write_gguf_checkpoint(other, small_model(), random_values, Encoding::q4_1),
                      jlcm::Error);
}

TEST_CASE("a Q8_0 export has float16 where a row is no multiple of a block, and is refused as a folder") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "model.gguf";
    jlcm::write_gguf_checkpoint(path, small_model(), random_values, Encoding::q8_0);
    const auto read = jlcm::read_checkpoint(path);
    for (const auto& info : jlcm::model_tensors(small_config())) {
        const bool is_whole = info.shape.back() % 32 == 0;
        const auto expected = info.shape.size() == 1 ? Encoding::f32
                              : is_whole             ? Encoding::q8_0
                                                     : Encoding::f16;
        const auto& stored = read.tensor(info.name);
        REQUIRE(stored.encoding == expected);
        const Tensor values = random_values(info);
        REQUIRE(equal(jlcm::decode(stored), jlcm::decode({{info.name, info.shape, expected},
                                                          jlcm::encode(values.values<float>(), expected)})));
    }
    REQUIRE(read.tensor("model.layers.0.self_attn.o_proj.weight").encoding == Encoding::q8_0);
    REQUIRE_THROWS_AS(jlcm::write_huggingface_checkpoint(directory.path() / "folder", small_model(),
                                                         random_values, Encoding::q8_0),
                      jlcm::Error);
}

TEST_CASE("a byte-level BPE goes to GGUF and back") {
    const TemporaryDirectory directory;
    jlcm::write_gguf_checkpoint(directory.path() / "model.gguf", small_model(), random_values, Encoding::f32);
    const auto read = jlcm::read_checkpoint(directory.path() / "model.gguf");
    const json keys = json::parse(read.tokenizer.data);
    REQUIRE(keys["tokenizer.ggml.model"] == "gpt2");
    REQUIRE(keys["tokenizer.ggml.pre"] == "gpt-2");
    REQUIRE(keys["tokenizer.ggml.tokens"] ==
            json({"x", "<s>", "</s>", "a", "b", "c", "ab", "abc", "y", "z", "<tool>", "[PAD11]"}));
    REQUIRE(keys["tokenizer.ggml.token_type"] == json({1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 4, 5}));
    REQUIRE(keys["tokenizer.ggml.merges"] == json({"a b", "ab c"}));
    REQUIRE(keys["tokenizer.ggml.bos_token_id"] == 1);

    jlcm::write_huggingface_checkpoint(directory.path() / "folder", read, jlcm::stored_values(read),
                                       Encoding::f32);
    const json tokenizer = json::parse(jlcm::read_file(directory.path() / "folder/tokenizer.json"));
    REQUIRE(tokenizer["model"]["vocab"].size() == 11);
    REQUIRE(tokenizer["model"]["vocab"]["<tool>"] == 10);
    REQUIRE(tokenizer["model"]["merges"] == json({"a b", "ab c"}));
    REQUIRE(tokenizer["added_tokens"].size() == 3);
    const auto folder = jlcm::read_checkpoint(directory.path() / "folder");
    REQUIRE(folder.tokenizer.format == "tokenizer.json");
    REQUIRE(folder.extra["chat_template"] == "{{ messages }}");
    REQUIRE(folder.extra["tokenizer_config"]["bos_token"] == "<s>");
}

TEST_CASE("tokenizers that GGUF can't express are refused") {
    const TemporaryDirectory directory;
    auto model = small_model();
    const auto refused = [&](const json& tokenizer) {
        model.tokenizer.data = tokenizer.dump();
        try {
            jlcm::write_gguf_checkpoint(directory.path() / "model.gguf", model, random_values, Encoding::f32);
        } catch (const jlcm::Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    const json whole = json::parse(small_tokenizer);
    REQUIRE(refused(whole).empty());
    json tokenizer = whole;
    tokenizer["pre_tokenizer"] = {{"type", "Whitespace"}};
    REQUIRE_THAT(refused(tokenizer), Catch::Contains("Whitespace"));
    tokenizer = whole;
    tokenizer["model"]["vocab"]["far"] = 4000000000U;
    REQUIRE_THAT(refused(tokenizer), Catch::Contains("4000000000"));
    tokenizer["model"] = {{"type", "Unigram"}};
    REQUIRE_THAT(refused(tokenizer), Catch::Contains("'Unigram'") && Catch::Contains("BPE"));
    REQUIRE_THAT(refused(json::array()), Catch::Contains("'model'"));

    // What changes ids only: all of it is named, and may be accepted.
    tokenizer = whole;
    tokenizer["normalizer"] = {{"type", "NFC"}};
    tokenizer["added_tokens"][0]["lstrip"] = true;
    tokenizer["added_tokens"][2]["rstrip"] = true;
    tokenizer["added_tokens"][2]["single_word"] = true;
    tokenizer["model"]["ignore_merges"] = true;
    for (const char* part : {"normalizer", "'<s>' takes the white space before it",
                             "'<tool>' takes the white space "
                             "behind it",
                             "single_word", "ignore_merges", "--lossy-tokenizer"})
        CHECK_THAT(refused(tokenizer), Catch::Contains(part));
    jlcm::write_gguf_checkpoint(directory.path() / "model.gguf", model, random_values, Encoding::f32,
                                jlcm::TokenizerLoss::accepted);
    CHECK(jlcm::read_checkpoint(directory.path() / "model.gguf").tokenizer.format == "gguf");
    model.tokenizer = {};
    REQUIRE_THROWS_AS(
        jlcm::write_gguf_checkpoint(directory.path() / "x", model, random_values, Encoding::f32),
        jlcm::Error);
}

TEST_CASE("a BPE of characters with byte fallback goes to GGUF with SentencePiece's types and scores") {
    const TemporaryDirectory directory;
    auto model = small_model();
    constexpr std::int64_t bytes = 256;
    json vocabulary{{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
    for (std::int64_t i = 0; i < bytes; ++i) vocabulary[fmt::format("<0x{:02X}>", i)] = 3 + i;
    for (const char* token : {"a", "b", "c", "bc", "abc", "\xE2\x96\x81"})
        vocabulary[token] = vocabulary.size();
    const std::int64_t end = std::ssize(vocabulary);
    model.config["vocab_size"] = end + 2;
    const json spaces{{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\xE2\x96\x81"}};
    json tokenizer{{"added_tokens",
                    {{{"id", 1}, {"content", "<s>"}, {"special", true}},
                     {{"id", end}, {"content", "<tool>"}, {"special", false}, {"normalized", false}}}},
                   {"normalizer",
                    {{"type", "Sequence"},
                     {"normalizers", {{{"type", "Prepend"}, {"prepend", "\xE2\x96\x81"}}, spaces}}}},
                   {"pre_tokenizer", nullptr},
                   {"model",
                    {{"type", "BPE"},
                     {"byte_fallback", true},
                     {"unk_token", "<unk>"},
                     {"vocab", vocabulary},
                     {"merges", {"b c", "a bc"}}}}};
    const auto path = directory.path() / "model.gguf";
    const auto keys = [&] {
        model.tokenizer = {"tokenizer.json", tokenizer.dump()};
        jlcm::write_gguf_checkpoint(path, model, random_values, Encoding::f32);
        return json::parse(jlcm::read_checkpoint(path).tokenizer.data);
    };
    json given = keys();
    CHECK(given["tokenizer.ggml.model"] == "llama");
    CHECK(given["tokenizer.ggml.add_space_prefix"] == true);
    CHECK(given["tokenizer.ggml.unknown_token_id"] == 0);
    const json& types = given["tokenizer.ggml.token_type"];
    const json& scores = given["tokenizer.ggml.scores"];
    const auto at = [&](const json& list, const char* token) {
        return list[vocabulary.at(token).get<std::size_t>()].get<int>();
    };
    CHECK(at(types, "<unk>") == 2);
    CHECK(at(types, "<s>") == 3);
    CHECK(at(types, "<0x0A>") == 6);
    CHECK(at(types, "abc") == 1);
    CHECK(types[static_cast<std::size_t>(end)] == 4);
    CHECK(types.back() == 5);
    CHECK(at(scores, "bc") > at(scores, "abc"));

    // The scores of tokenizer.model, where the folder has one.
    jlcm::SentencePieceModel pieces;
    pieces.pieces = {"<unk>", "bc", "abc"};
    pieces.scores = {0, -7, -3};
    pieces.types = {2, 1, 1};
    model.files["tokenizer.model"] = jlcm::serialized(pieces);
    given = keys();
    CHECK(at(given["tokenizer.ggml.scores"], "bc") == -7);
    CHECK(at(given["tokenizer.ggml.scores"], "abc") == -3);

    const auto refused = [&] {
        try {
            (void)keys();
        } catch (const jlcm::Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    tokenizer["normalizer"] = nullptr;
    tokenizer["pre_tokenizer"] = {{"type", "Metaspace"},
                                  {"replacement", "\xE2\x96\x81"},
                                  {"prepend_scheme", "never"},
                                  {"split", false}};
    CHECK(keys()["tokenizer.ggml.add_space_prefix"] == false);
    tokenizer["pre_tokenizer"]["prepend_scheme"] = "first";
    CHECK_THAT(refused(), Catch::Contains("prepend_scheme first") && Catch::Contains("<tool>"));
    tokenizer["pre_tokenizer"]["prepend_scheme"] = "always";
    tokenizer["pre_tokenizer"]["split"] = true;
    tokenizer["model"]["vocab"].erase("<0x0A>");
    CHECK_THAT(refused(), Catch::Contains("cuts at spaces") && Catch::Contains("255 of 256 bytes"));
    tokenizer["normalizer"] = {{"type", "NFKC"}};
    CHECK_THAT(refused(), Catch::Contains("NFKC"));
}

TEST_CASE("a SentencePiece model's rules go to GGUF, or are refused by name") {
    const TemporaryDirectory directory;
    auto model = small_model();
    model.extra = json::object();
    jlcm::SentencePieceModel pieces;
    pieces.pieces = {"<pad>", "</s>", "<unk>", "<s>", "\xE2\x96\x81", "a", "b", "<user>"};
    pieces.types = {3, 3, 2, 3, 1, 1, 1, 4};
    pieces.scores = {0, 0, 0, 0, -1, -2.5, -3, 0};
    pieces.is_byte_pair = false;
    pieces.is_unigram = true;
    pieces.unknown_id = 2;
    pieces.bos_id = 3;
    pieces.eos_id = 1;
    pieces.pad_id = 0;
    pieces.remove_extra_whitespaces = true;
    pieces.precompiled_charsmap = std::string("\x00\xff\x7f", 3);
    const auto path = directory.path() / "model.gguf";
    const auto write = [&](jlcm::TokenizerLoss loss) {
        model.tokenizer = {"sentencepiece", jlcm::serialized(pieces)};
        jlcm::write_gguf_checkpoint(path, model, random_values, Encoding::f32, loss);
        return json::parse(jlcm::read_checkpoint(path).tokenizer.data);
    };
    json keys = write(jlcm::TokenizerLoss::refused);
    CHECK(keys["tokenizer.ggml.model"] == "t5");
    CHECK(keys["tokenizer.ggml.token_type"] == json({3, 3, 2, 3, 1, 1, 1, 4, 5, 5, 5, 5}));
    CHECK(keys["tokenizer.ggml.scores"][5] == -2.5);
    CHECK(keys["tokenizer.ggml.precompiled_charsmap"] == json({0, 255, 127}));
    CHECK(keys["tokenizer.ggml.remove_extra_whitespaces"] == true);
    CHECK(keys["tokenizer.ggml.add_space_prefix"] == true);
    CHECK(keys["tokenizer.ggml.bos_token_id"] == 3);
    CHECK(keys["tokenizer.ggml.eos_token_id"] == 1);
    CHECK(keys["tokenizer.ggml.padding_token_id"] == 0);
    CHECK(keys["tokenizer.ggml.unknown_token_id"] == 2);
    const jlcm::SentencePieceModel back = jlcm::sentencepiece_model(jlcm::read_gguf_tokenizer(keys));
    CHECK(back.is_unigram);
    CHECK(back.precompiled_charsmap == pieces.precompiled_charsmap);

    // A GGUF file's keys are written again as they came.
    auto second = jlcm::read_checkpoint(path);
    jlcm::write_gguf_checkpoint(directory.path() / "again.gguf", second, jlcm::stored_values(second),
                                Encoding::f32);
    CHECK(json::parse(jlcm::read_checkpoint(directory.path() / "again.gguf").tokenizer.data) == keys);

    pieces.is_unigram = false;
    pieces.is_byte_pair = true;
    pieces.white_space_as_suffix = true;
    try {
        (void)write(jlcm::TokenizerLoss::refused);
        FAIL("it was written");
    } catch (const jlcm::Error& error) {
        for (const char* part :
             {"remove_extra_whitespaces", "treat_whitespace_as_suffix", "nmt_nfkc", "byte fallback"})
            CHECK_THAT(error.what(), Catch::Contains(part));
    }
    keys = write(jlcm::TokenizerLoss::accepted);
    CHECK(keys["tokenizer.ggml.model"] == "llama");
}

TEST_CASE("a folder's files about text are exported byte for byte, its chat templates by name") {
    const TemporaryDirectory directory;
    const auto folder = directory.path() / "folder";
    jlcm::write_huggingface_checkpoint(folder, small_model(), random_values, Encoding::f32);
    const std::map<std::string, std::string> files{
        {"tokenizer.json", std::string(small_tokenizer) + "\n\n"},
        {"tokenizer_config.json",
         R"({"model_max_length":1000000000000000019884624838656,  "eos_token": "</s>"})"},
        {"special_tokens_map.json", R"({ "unk_token": {"content": "x"} })"},
        {"added_tokens.json", "{}"},
        {"generation_config.json", R"({"eos_token_id": [2, 10]})"},
        {"chat_template.jinja", "{{ main }}"},
        {"additional_chat_templates/tool-use.jinja", "{{ tool }}"}};
    for (const auto& [name, content] : files) jlcm::write_file(folder / name, content);
    jlcm::write_file(folder / "README.md", "not about text");
    const auto model = jlcm::read_checkpoint(folder);
    CHECK(model.files == files);

    const auto again = directory.path() / "again";
    jlcm::write_huggingface_checkpoint(again, model, jlcm::stored_values(model), Encoding::f32);
    for (const auto& [name, content] : files) CHECK(jlcm::read_file(again / name) == content);

    const auto path = directory.path() / "model.gguf";
    jlcm::write_gguf_checkpoint(path, model, jlcm::stored_values(model), Encoding::f32);
    const jlcm::MappedFile mapped(path);
    const auto metadata = jlcm::parse_gguf(mapped.bytes()).metadata;
    CHECK(metadata.at("tokenizer.chat_template").value == "{{ main }}");
    CHECK(metadata.at("tokenizer.chat_template.tool_use").value == "{{ tool }}");
    CHECK(metadata.at("tokenizer.chat_templates").value == json({"tool_use"}));
    CHECK(metadata.at("tokenizer.ggml.eos_token_id").value == 2);
    CHECK(metadata.at("tokenizer.ggml.unknown_token_id").value == 0);
    CHECK(metadata.at("tokenizer.ggml.eot_token_id").value == 10);

    // Back to a folder, as Hugging Face writes several.
    const auto gguf = jlcm::read_checkpoint(path);
    jlcm::write_huggingface_checkpoint(directory.path() / "back", gguf, jlcm::stored_values(gguf),
                                       Encoding::f32);
    const json config = json::parse(jlcm::read_file(directory.path() / "back/tokenizer_config.json"));
    CHECK(config["chat_template"] == json({{{"name", "default"}, {"template", "{{ main }}"}},
                                           {{"name", "tool_use"}, {"template", "{{ tool }}"}}}));
}

TEST_CASE("a split GGUF file is read whole from any of its parts") {
    const TemporaryDirectory directory;
    const auto whole = directory.path() / "whole.gguf";
    jlcm::write_gguf_checkpoint(whole, small_model(), random_values, Encoding::f32);
    const jlcm::MappedFile mapped(whole);
    const jlcm::Gguf source = jlcm::parse_gguf(mapped.bytes());
    const auto number = [](std::uint32_t value) {
        return jlcm::GgufValue{jlcm::GgufType::u16, jlcm::GgufType::u32, value};
    };
    const auto part_name = [&](int part) {
        return directory.path() / fmt::format("model-{:05}-of-00003.gguf", part + 1);
    };
    const auto write_part = [&](int part, std::uint32_t own_number, std::uint32_t tensors) {
        jlcm::GgufMetadata metadata;
        if (part == 0) metadata.assign(source.metadata.begin(), source.metadata.end());
        metadata.emplace_back("split.no", number(own_number));
        metadata.emplace_back("split.count", number(3));
        metadata.emplace_back("split.tensors.count", number(tensors));
        std::vector<TensorInfo> infos;
        std::vector<jlcm::StoredTensor> stored;
        for (std::size_t i = 0; i < source.tensors.size(); ++i) {
            if (static_cast<int>(i % 3) != part) continue;
            stored.push_back(source.tensors[i]);
            infos.push_back(source.tensors[i]);
        }
        auto file = jlcm::begin_gguf(part_name(part), metadata, infos);
        for (const auto& tensor : stored) file.write(tensor.bytes);
        file.commit();
    };
    const auto count = static_cast<std::uint32_t>(source.tensors.size());
    for (int part = 0; part < 3; ++part) write_part(part, static_cast<std::uint32_t>(part), count);
    const auto one = jlcm::read_checkpoint(whole);
    for (int part = 0; part < 3; ++part) {
        const auto model = jlcm::read_checkpoint(part_name(part));
        CHECK(model.config == one.config);
        CHECK(model.tokenizer.data == one.tokenizer.data);
        CHECK(model.description == "GGUF v3, F32, 3 files");
        for (const auto& info : jlcm::model_tensors(one.config))
            REQUIRE(equal(jlcm::decode(model.tensor(info.name)), random_values(info)));
    }
    write_part(1, 2, count);
    CHECK_THAT(refusal(part_name(0)), Catch::Contains("part 3 of 3"));
    write_part(1, 1, count);
    write_part(0, 0, count + 1);
    CHECK_THAT(refusal(part_name(2)), Catch::Contains("split.tensors.count"));
    write_part(0, 0, count);
    fs::remove(part_name(1));
    CHECK_THAT(refusal(part_name(2)), Catch::Contains("model-00002-of-00003.gguf"));
    fs::rename(part_name(2), directory.path() / "last.gguf");
    CHECK_THAT(refusal(directory.path() / "last.gguf"),
               Catch::Contains("part 3 of 3") && Catch::Contains("'-00003-of-00003.gguf'"));
}

TEST_CASE("a SentencePiece model goes to GGUF and back with the same pieces and scores") {
    const auto assets = jlcm::test::assets();
    JLCM_SKIP_UNLESS(assets, "no assets");
    const TemporaryDirectory directory;
    const auto source = jlcm::read_checkpoint(*assets / "lm/stories260k");
    const auto gguf = directory.path() / "model.gguf";
    const auto folder = directory.path() / "folder";
    jlcm::write_gguf_checkpoint(gguf, source, jlcm::stored_values(source), Encoding::f32);
    const auto first = jlcm::read_checkpoint(gguf);
    jlcm::write_huggingface_checkpoint(folder, first, jlcm::stored_values(first), Encoding::f32);
    const auto second = jlcm::read_checkpoint(folder);
    jlcm::write_gguf_checkpoint(directory.path() / "again.gguf", second, jlcm::stored_values(second),
                                Encoding::f32);
    const auto again = jlcm::read_checkpoint(directory.path() / "again.gguf");
    REQUIRE(json::parse(again.tokenizer.data) == json::parse(first.tokenizer.data));
    for (const auto& [name, tensor] : source.tensors)
        REQUIRE(equal(jlcm::decode(again.tensor(name)), jlcm::decode(tensor)));
}

TEST_CASE("missing, unexpected and misshapen tensors are named") {
    const TemporaryDirectory directory;
    const auto& folder = directory.path();
    REQUIRE_THAT(refusal(folder), Catch::Contains("config.json"));
    jlcm::write_file(folder / "config.json", small_config().dump());
    REQUIRE_THAT(refusal(folder), Catch::Contains("model.safetensors"));
    jlcm::write_file(folder / "pytorch_model.bin", "");
    REQUIRE_THAT(refusal(folder), Catch::Contains("python3 -c") && Catch::Contains("pytorch_model.bin"));
    auto tensors = jlcm::model_tensors(small_config());
    const auto weights = folder / "model.safetensors";
    write_weights(weights, tensors);
    REQUIRE(refusal(folder).empty());

    auto changed = tensors;
    std::swap(changed[2].shape[0], changed[2].shape[1]);
    write_weights(weights, changed);
    REQUIRE_THAT(refusal(folder),
                 Catch::Contains("'model.layers.0.self_attn.q_proj.weight' has shape [24, 32]: "
                                 "expected [32, 24]"));
    changed = tensors;
    changed.pop_back();
    write_weights(weights, changed);
    REQUIRE_THAT(refusal(folder), Catch::Contains("'lm_head.weight' of shape [12, 24] is missing"));
    changed = tensors;
    changed.push_back({"model.layers.2.mlp.up_proj.weight", {40, 24}});
    write_weights(weights, changed);
    REQUIRE_THAT(refusal(folder), Catch::Contains("'model.layers.2.mlp.up_proj.weight'"));
    changed = tensors;
    changed.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", {4}});
    write_weights(weights, changed);
    REQUIRE(refusal(folder).empty());

    jlcm::write_file(folder / "config.json", "{\"model_type\": \"llama\"");
    REQUIRE_THAT(refusal(folder), Catch::Contains("config.json: not valid JSON"));
}

TEST_CASE("all that is wrong with a model's tensors is told at once") {
    const TemporaryDirectory directory;
    const auto& folder = directory.path();
    jlcm::write_file(folder / "config.json", small_config().dump());
    auto tensors = jlcm::model_tensors(small_config());
    tensors.pop_back();
    std::swap(tensors[2].shape[0], tensors[2].shape[1]);
    tensors.push_back({"model.layers.7.mlp.up_proj.weight", {40, 24}});
    write_weights(folder / "model.safetensors", tensors);
    const std::string said = refusal(folder);
    for (const char* part : {"3 problems", "q_proj.weight' has shape [24, 32]",
                             "'lm_head.weight' of shape [12, 24] is "
                             "missing",
                             "'model.layers.7.mlp.up_proj.weight'"})
        CHECK_THAT(said, Catch::Contains(part));
    json config = small_config();
    config["hidden_act"] = "gelu";
    jlcm::write_file(folder / "config.json", config.dump());
    fs::remove(folder / "model.safetensors");
    CHECK_THAT(refusal(folder), Catch::Contains("'gelu'") && Catch::Contains("save_pretrained"));
}

TEST_CASE("a model in shards is read whole, and a wrong index is named") {
    const TemporaryDirectory directory;
    const auto& folder = directory.path();
    jlcm::write_file(folder / "config.json", small_config().dump());
    const auto tensors = jlcm::model_tensors(small_config());
    const std::vector<TensorInfo> first(tensors.begin(), tensors.begin() + 5);
    const std::vector<TensorInfo> second(tensors.begin() + 5, tensors.end());
    write_weights(folder / "model-00001-of-00002.safetensors", first);
    write_weights(folder / "model-00002-of-00002.safetensors", second);
    json map = json::object();
    for (const auto& tensor : first) map[tensor.name] = "model-00001-of-00002.safetensors";
    for (const auto& tensor : second) map[tensor.name] = "model-00002-of-00002.safetensors";
    const auto write_index = [&](const json& weight_map) {
        jlcm::write_file(folder / "model.safetensors.index.json", json{{"weight_map", weight_map}}.dump());
    };
    write_index(map);
    const auto model = jlcm::read_checkpoint(folder);
    for (const auto& tensor : tensors)
        REQUIRE(equal(jlcm::decode(model.tensor(tensor.name)), random_values(tensor)));
    REQUIRE(model.description == "Hugging Face safetensors, F32, 2 files");

    json wrong = map;
    wrong["lm_head.weight"] = "model-00001-of-00002.safetensors";
    write_index(wrong);
    REQUIRE_THAT(refusal(folder), Catch::Contains("lm_head.weight"));
    wrong["lm_head.weight"] = "../elsewhere.safetensors";
    write_index(wrong);
    REQUIRE_THAT(refusal(folder), Catch::Contains("../elsewhere.safetensors"));
    wrong["lm_head.weight"] = "model-00000-of-00002.safetensors";
    write_index(wrong);
    REQUIRE_THAT(refusal(folder), Catch::Contains("model-00000-of-00002.safetensors"));
    write_index(json::array());
    REQUIRE_THAT(refusal(folder), Catch::Contains("weight_map"));
}

TEST_CASE("GGUF metadata that means something else is refused by name") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "model.gguf";
    const auto tensors_with = [&](const jlcm::GgufMetadata& changes) {
        auto metadata = jlcm::gguf_model(jlcm::complete_config(small_config())).metadata;
        for (const auto& [key, value] : changes) {
            std::erase_if(metadata, [&](const auto& entry) { return entry.first == key; });
            metadata.emplace_back(key, value);
        }
        std::vector<TensorInfo> tensors;
        for (const auto& one : jlcm::model_tensors(small_config()))
            tensors.push_back({jlcm::gguf_name(one.name, llama), one.shape, Encoding::f32});
        auto file = jlcm::begin_gguf(path, metadata, tensors);
        for (const auto& tensor : tensors) file.write_values(random_values(tensor).values<float>());
        file.commit();
        return refusal(path);
    };
    using jlcm::GgufType;
    const auto number = [](json value) {
        return jlcm::GgufValue{GgufType::u32, GgufType::u32, std::move(value)};
    };
    const auto real = [](float value) { return jlcm::GgufValue{GgufType::f32, GgufType::u32, value}; };
    const auto text = [](const char* value) {
        return jlcm::GgufValue{GgufType::string, GgufType::u32, value};
    };
    REQUIRE(tensors_with({}).empty());
    REQUIRE_THAT(tensors_with({{"general.architecture", text("mamba")}}), Catch::Contains("'mamba'"));
    REQUIRE_THAT(tensors_with({{"llama.expert_count", number(8)}}), Catch::Contains("experts"));
    REQUIRE_THAT(tensors_with({{"llama.logit_scale", real(2)}}), Catch::Contains("llama.logit_scale"));
    REQUIRE_THAT(tensors_with({{"llama.rope.scaling.type", text("longrope")}}),
                 Catch::Contains("'longrope'"));
    REQUIRE_THAT(tensors_with({{"llama.rope.dimension_count", number(4)}}),
                 Catch::Contains("rope.dimension_count"));
    REQUIRE_THAT(tensors_with({{"llama.block_count", number(3)}}), Catch::Contains("model.layers.2."));
    REQUIRE_THAT(tensors_with({{"llama.block_count", number(1)}}), Catch::Contains("model.layers.1."));
    REQUIRE_THAT(tensors_with({{"llama.block_count", number(4000000000U)}}),
                 Catch::Contains("num_hidden_layers"));
    REQUIRE_THAT(tensors_with({{"llama.attention.head_count", text("4")}}), Catch::Contains("head_count"));
    REQUIRE_THAT(tensors_with({{"llama.attention.head_count", number(0)}}),
                 Catch::Contains("num_attention_heads"));
    REQUIRE_THAT(tensors_with({{"llama.vocab_size", number(13)}}), Catch::Contains("12 rows"));
    REQUIRE_THAT(tensors_with({{"tokenizer.ggml.bos_token_id", text("x")}}),
                 Catch::Contains("'tokenizer.ggml.model' is missing"));
    const std::string several = tensors_with({{"llama.logit_scale", real(2)},
                                              {"llama.rope.scaling.type", text("longrope")},
                                              {"llama.attention.layer_norm_rms_epsilon", real(-1)}});
    for (const char* part : {"3 problems", "llama.logit_scale", "'longrope'", "rms_norm_eps"})
        REQUIRE_THAT(several, Catch::Contains(part));
}

TEST_CASE("random damage to a GGUF model never does more than raise an error") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "model.gguf";
    jlcm::write_gguf_checkpoint(path, small_model(), random_values, Encoding::f32);
    Bytes bytes;
    std::size_t header = 0;
    {
        const jlcm::MappedFile file(path);
        bytes.assign(file.bytes().begin(), file.bytes().end());
        header = static_cast<std::size_t>(jlcm::parse_gguf(file.bytes()).tensors.front().bytes.data() -
                                          file.bytes().data());
    }
    const auto damaged = directory.path() / "damaged.gguf";
    const auto read = [&](std::span<const std::byte> content) {
        jlcm::AtomicFile file(damaged);
        file.write(content);
        file.commit();
        const auto model = jlcm::read_checkpoint(damaged);
        for (const auto& [name, tensor] : model.tensors) (void)jlcm::decode(tensor);
    };
    REQUIRE(jlcm::test::mutate(read, bytes, header, 60) > 20);
}
