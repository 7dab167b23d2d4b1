// The loop, with decoders and tokenizers made up for it, and a small model.

#include "core/base/error.hpp"
#include "core/generate/generation.hpp"
#include "core/generate/text_stream.hpp"
#include "core/model/scoring.hpp"
#include "core/text/utf8.hpp"
#include "tests/support/tiny_llama.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Ids = std::vector<std::int32_t>;

/// A token a byte; a space at the front of a text is lost, as in SentencePiece.
class ByteTokenizer final : public Tokenizer {
  public:
    ByteTokenizer() : Tokenizer({0, 1}, "bytes") {}
    [[nodiscard]] Ids encode(std::string_view text) const override {
        Ids ids;
        for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
        return ids;
    }
    [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override {
        std::string text;
        for (const auto id : ids) text += static_cast<char>(id);
        return text.starts_with(' ') ? text.substr(1) : text;
    }
    [[nodiscard]] std::int32_t vocabulary_size() const override { return 256; }
};

/// Says a text behind any prompt, then token 1; counts what it reads.
class SpeakingDecoder final : public Decoder {
  public:
    SpeakingDecoder(std::string text, std::int64_t prompt, std::int64_t context = 1000)
        : text_(std::move(text)), prompt_(prompt), context_(context) {}
    [[nodiscard]] Tensor read(std::span<const std::int32_t> tokens) override {
        require(position_ + std::ssize(tokens) <= context_, "beyond the context");
        position_ += std::ssize(tokens);
        tokens_read += std::ssize(tokens);
        Tensor logits = Tensor::zeros({256});
        const std::int64_t place = position_ - prompt_;
        const bool speaks = place >= 0 && place < std::ssize(text_);
        logits
            .data<float>()[speaks ? static_cast<unsigned char>(text_[static_cast<std::size_t>(place)]) : 1] =
            1;
        return logits;
    }
    void keep(std::int64_t count) override {
        REQUIRE(count <= position_);
        position_ = count;
    }
    [[nodiscard]] std::int64_t position() const override { return position_; }
    [[nodiscard]] std::int64_t context() const override { return context_; }

    std::int64_t tokens_read = 0;

  private:
    std::string text_;
    std::int64_t prompt_;
    std::int64_t context_;
    std::int64_t position_ = 0;
};

const Ids prompt{'a', 'b'};

/// One generation; what the callback gets must be whole characters, and together the text.
Generation said(const std::string& text, const GenerationOptions& options = {}, std::int64_t context = 1000) {
    const ByteTokenizer tokenizer;
    SpeakingDecoder decoder(text, std::ssize(prompt), context);
    Generator generator(decoder, tokenizer, {1});
    std::string pieces;
    Generation made = generator.generate(prompt, options, 0, [&](std::string_view piece) {
        CHECK_FALSE(piece.empty());
        CHECK(valid_utf8(piece) == piece);
        pieces += piece;
    });
    CHECK(pieces == made.text);
    return made;
}

std::string through(StopTexts stop, const std::vector<std::string>& pieces) {
    std::string text;
    for (const auto& each : pieces) text += stop.add(each);
    return text + stop.finish() + (stop.found() ? "|" : "");
}

}  // namespace

TEST_CASE("tokens beyond the tokenizer's, of a padded head, have no text") {
    const ByteTokenizer tokenizer;
    TextStream stream(tokenizer, Ids{'a', 256});
    CHECK(stream.add('b') == "b");
    CHECK(stream.add(300).empty());
    CHECK(stream.add('c') == "c");
    CHECK(stream.finish().empty());
}

TEST_CASE("a generation ends at an end token, which is no text") {
    const Generation made = said(" Hello");
    CHECK(made.text == " Hello");
    CHECK(made.ids == Ids{' ', 'H', 'e', 'l', 'l', 'o', 1});
    CHECK(made.reason == StopReason::end_token);
    CHECK(made.prompt_tokens == 2);
    CHECK(said("x", {.max_tokens = 3, .ignore_ends = true}).ids == Ids{'x', 1, 1});
}

TEST_CASE("a generation ends after as many tokens as asked for, and where the context is full") {
    const Generation made = said("Hello", {.max_tokens = 2});
    CHECK(made.text == "He");
    CHECK(made.reason == StopReason::max_tokens);
    const Generation full = said("Hello", {}, 4);
    CHECK(full.reason == StopReason::context);
    CHECK(full.text == "Hel");  // two tokens of the prompt, two that were read, one that follows
    CHECK(said("Hello", {}, 2).text == "H");
    CHECK_THROWS_WITH(said("Hello", {}, 1),
                      Catch::Contains("2 tokens") && Catch::Contains("context holds 1"));
}

TEST_CASE("a generation ends in front of a stop text, wherever tokens begin and end") {
    CHECK(said("one two three", {.stop = {"two", "xx"}}).text == "one ");
    CHECK(said("one two three", {.stop = {"two", "xx"}}).reason == StopReason::stop_text);
    CHECK(said("ababac", {.stop = {"abac"}}).text == "ab");
    CHECK(said("abaab", {.stop = {"abac"}}).text == "abaab");
    CHECK(said("end aba", {.stop = {"abac"}}).text == "end aba");
    CHECK_THROWS_AS(said("a", {.stop = {""}}), Error);
}

TEST_CASE("streamed text comes in whole characters") {
    CHECK(said("gr\u00fc\u00df \u4f60\U0001F600!").text == "gr\u00fc\u00df \u4f60\U0001F600!");
    CHECK(said("\xE4\xBD").text == "\uFFFD");
    CHECK(said("\xE4\xBD", {.stop = {"\uFFFD"}}).text.empty());
}

TEST_CASE("what the decoder has read is not read again") {
    const ByteTokenizer tokenizer;
    SpeakingDecoder decoder("xy", 2);
    Generator generator(decoder, tokenizer, {1});
    const Generation first = generator.generate(prompt, {});
    CHECK(first.text == "xy");
    const std::int64_t read = decoder.tokens_read;
    const Ids longer{'a', 'b', 'x', 'y', 'c', 'd'};
    const Generation second = generator.generate(longer, {.max_tokens = 1});
    CHECK(second.reused_tokens == 4);
    CHECK(decoder.tokens_read == read + 2);
    // The same prompt again: its last token is read for the logits.
    CHECK(generator.generate(longer, {.max_tokens = 1}).reused_tokens == 5);
    CHECK(generator.generate(prompt, {}).text == "xy");
    CHECK_THROWS_AS(generator.generate({}, {}), Error);
}

TEST_CASE("stop texts are found however a text is cut") {
    const std::string text = "aabaabaaabbbab";
    const std::vector<std::vector<std::string>> several{{"aaab"}, {"bb", "abb"}, {"b", "ba"},
                                                        {"x"},    {"aabaaab"},   {}};
    for (const auto& stop : several) {
        const std::string whole = through(StopTexts(stop), {text});
        for (std::size_t size = 1; size < text.size(); ++size) {
            std::vector<std::string> pieces;
            for (std::size_t i = 0; i < text.size(); i += size) pieces.push_back(text.substr(i, size));
            CHECK(through(StopTexts(stop), pieces) == whole);
        }
    }
    CHECK(through(StopTexts({"bb", "abb"}), {text}) == "aabaabaa|");
    CHECK(through(StopTexts({"x"}), {text}) == text);
}
