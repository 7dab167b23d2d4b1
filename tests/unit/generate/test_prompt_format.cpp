// What a model's files say of prompts.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/generate/prompt_format.hpp"
#include "core/model/model_loader.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/temporary.hpp"

#include <array>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Json = nlohmann::ordered_json;
using Ids = std::vector<std::int32_t>;

/// A folder's files about text: bytes, and the added tokens <s>, </s>, <end>.
Checkpoint folder() {
    nlohmann::json vocabulary = nlohmann::json::object();
    for (int i = 0; i < 26; ++i) vocabulary[std::string(1, static_cast<char>('a' + i))] = i;
    const auto added = [](int id, const char* content, bool special) {
        return nlohmann::json{{"id", id},          {"content", content}, {"single_word", false},
                              {"lstrip", false},   {"rstrip", false},    {"normalized", false},
                              {"special", special}};
    };
    Checkpoint model;
    model.config = {{"vocab_size", 40}, {"eos_token_id", 27}};
    model.tokenizer = {
        "tokenizer.json",
        nlohmann::json{
            {"version", "1.0"},
            {"added_tokens",
             {added(26, "<s>", true), added(27, "</s>", true), added(28, "<end>", true),
              added(29, "<plain>", false)}},
            {"normalizer", nullptr},
            {"pre_tokenizer",
             {{"type", "ByteLevel"},
              {"add_prefix_space", false},
              {"use_regex", true},
              {"trim_offsets", true}}},
            {"post_processor",
             {{"type", "TemplateProcessing"},
              {"single",
               {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
              {"pair", nlohmann::json::array()},
              {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {26}}, {"tokens", {"<s>"}}}}}}}},
            {"decoder", {{"type", "ByteLevel"}}},
            {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}}}
            .dump()};
    model.extra = {{"tokenizer_config",
                    {{"bos_token", {{"content", "<s>"}}}, {"eos_token", "</s>"}, {"pad_token", nullptr}}}};
    return model;
}

}  // namespace

TEST_CASE("a folder says what begins and ends a text, and what templates call the tokens") {
    Checkpoint model = folder();
    const auto tokenizer = make_tokenizer(model.tokenizer);
    PromptFormat format = prompt_format(model, *tokenizer);
    CHECK(format.begin == Ids{26});
    CHECK(format.ends == Ids{27});
    CHECK(format.names == Json{{"bos_token", "<s>"}, {"eos_token", "</s>"}});
    CHECK(format.special.size() == 3);
    CHECK(prompt_ids("ab", format, *tokenizer) == Ids{26, 0, 1});
    model.extra["generation_config"] = {{"eos_token_id", {28, 27, 28, 99, -1}}};
    CHECK(prompt_format(model, *tokenizer).ends == Ids{28, 27});
    model.extra = nlohmann::json::object();
    model.files["special_tokens_map.json"] = R"({"unk_token": "<plain>"})";
    format = prompt_format(model, *tokenizer);
    CHECK(format.names == Json{{"unk_token", "<plain>"}, {"bos_token", "<s>"}, {"eos_token", "</s>"}});
}

TEST_CASE("a conversation is written by the template that is asked for, and ends with its turn") {
    Checkpoint model = folder();
    const std::string turns =
        "{{ bos_token }}{% for m in messages %}{{ m.content }}<end>{{ sep }}{% endfor %}{% if add_generation_prompt %}g{% endif %}";
    model.extra["chat_template"] = {{{"name", "default"}, {"template", turns}},
                                    {{"name", "other"}, {"template", "{{ messages[0].content }}"}}};
    const auto tokenizer = make_tokenizer(model.tokenizer);
    const PromptFormat format = prompt_format(model, *tokenizer);
    const Json messages = {{{"role", "user"}, {"content", "ab"}}};
    const ChatFormat chat(model, format, "", {{"sep", "z"}});
    CHECK(chat.text(messages) == "<s>ab<end>zg");
    CHECK(chat.ids(chat.text(messages), *tokenizer) == Ids{26, 0, 1, 28, 25, 6});
    CHECK(chat.ends(*tokenizer) == Ids{27, 28});
    const ChatFormat other(model, format, "other", Json::object());
    CHECK(other.text(messages) == "ab");
    CHECK(other.ends(*tokenizer) == Ids{27});
    CHECK_THROWS_WITH(ChatFormat(model, format, "third", Json::object()),
                      Catch::Contains("'third'") && Catch::Contains("default, other"));
    const test::TemporaryDirectory directory;
    write_file(directory.path() / "own.jinja", "{{ messages | length }}");
    CHECK(
        ChatFormat(model, format, (directory.path() / "own.jinja").string(), Json::object()).text(messages) ==
        "1");
    model.extra = nlohmann::json::object();
    CHECK_THROWS_WITH(ChatFormat(model, format, "", Json::object()), Catch::Contains("the model has none"));
}

TEST_CASE("a GGUF file begins texts as llama.cpp does, and ends them at all that it knows") {
    const auto path = test::default_model();
    JLCM_SKIP_UNLESS(path, "the default model is not here");
    const Checkpoint model = read_checkpoint(*path);
    const auto tokenizer = make_tokenizer(model.tokenizer);
    const PromptFormat format = prompt_format(model, *tokenizer);
    CHECK(format.begin.empty());
    CHECK(format.ends == Ids{2, 0});
    CHECK(format.names.at("bos_token") == "<|im_start|>");
    const ChatFormat chat(model, format, "", Json::object());
    const Json messages = {{{"role", "user"}, {"content", "Hi"}}};
    CHECK(
        chat.text(messages) ==
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    CHECK(chat.ids(chat.text(messages), *tokenizer).front() == 1);
}
