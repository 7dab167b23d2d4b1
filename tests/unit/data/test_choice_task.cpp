#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/data/choice_task.hpp"
#include "tests/support/temporary.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// One token a letter or space; "ab" is one as well, so that a cut between a and b shows.
std::unique_ptr<Tokenizer> letters() {
    nlohmann::json vocabulary = nlohmann::json::object();
    for (const char* token : {"a", "b", "c", "Ġ", "Ċ", "ab", "Ġa"}) vocabulary[token] = vocabulary.size();
    const auto merges = nlohmann::json::parse(R"([["a", "b"], ["Ġ", "a"]])");
    const nlohmann::json json{
        {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}},
        {"decoder", {{"type", "ByteLevel"}}},
        {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
    return make_tokenizer({"tokenizer.json", json.dump()});
}

/// A token per byte.
class ByteTokenizer final : public Tokenizer {
  public:
    ByteTokenizer(std::optional<std::int32_t> bos, std::optional<std::int32_t> eos)
        : Tokenizer({bos, eos}, "bytes") {}
    [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const override {
        std::vector<std::int32_t> ids;
        for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
        return ids;
    }
    [[nodiscard]] std::string decode(std::span<const std::int32_t> /*ids*/) const override { return {}; }
    [[nodiscard]] std::int32_t vocabulary_size() const override { return 258; }
};

ContinuationTokens encoded(const std::string& context, const std::string& continuation,
                           std::optional<std::int32_t> first = {}, std::int64_t longest = 100) {
    return encode_continuation(*letters(), context, continuation, first, longest);
}

ChoiceTask task_of(const std::string& lines, std::int64_t limit = 0) {
    const test::TemporaryDirectory directory;
    write_file(directory.path() / "items.jsonl", lines);
    return read_choice_task(directory.path() / "items.jsonl", limit);
}

using Ids = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("a continuation is what the whole text has behind as many tokens as the context") {
    const auto plain = encoded("ba", " a");
    CHECK(plain.ids == Ids{1, 0, 6});
    CHECK(plain.begin == 2);
    // White space at the context's end goes with the continuation.
    const auto spaced = encoded("b ", "a");
    CHECK(spaced.ids == Ids{1, 6});
    CHECK(spaced.begin == 1);
    // Where the two join to one token, the context's count decides.
    const auto joined = encoded("ca", "bc");
    CHECK(joined.ids == Ids{2, 5, 2});
    CHECK(joined.begin == 2);
    const auto with_first = encoded("", "c", 4);
    CHECK(with_first.ids == Ids{4, 2});
    CHECK(with_first.begin == 1);
    CHECK_THROWS_WITH(encoded("", "c"), Catch::Contains("names no token"));
}

TEST_CASE("what is too long loses its beginning") {
    const auto cut = encoded("ccccc", "bb", {}, 3);
    CHECK(cut.ids == Ids{2, 2, 1, 1});
    CHECK(cut.begin == 2);
    CHECK(encoded("c", "bb", {}, 2).begin == 1);
    CHECK_THROWS_WITH(encoded("c", "bbb", {}, 2), Catch::Contains("beyond"));
}

TEST_CASE("all of Unicode's white space at a context's end goes with the continuation") {
    const ByteTokenizer bytes({}, {});
    const auto begin = [&](const std::string& context) {
        return encode_continuation(bytes, context, "a", {}, 100).begin;
    };
    for (const char* space : {"\u00a0", "\u3000", "\u2028", "\u0085", "\x1c", "\t\n"}) {
        CAPTURE(space);
        CHECK(begin(std::string("b") + space) == 1);
    }
    CHECK(begin("b\u200b") == 4);
}

TEST_CASE("something stands before a continuation, once") {
    CHECK_THROWS_WITH(encoded("", "c"), Catch::Contains("nothing stands before"));
    CHECK_THROWS_WITH(encoded(" \n", "c"), Catch::Contains("nothing but white space"));
    // As the harness's prefix_token_id: what begins a text, or else what ends it.
    CHECK(encode_continuation(ByteTokenizer(256, 257), "", "c", {}, 100).ids == Ids{256, 'c'});
    CHECK(encode_continuation(ByteTokenizer({}, 257), "", "c", {}, 100).ids == Ids{257, 'c'});
    CHECK(encode_continuation(ByteTokenizer('c', {}), "", "cd", {}, 100).ids == Ids{'c', 'd'});
    // A text that begins with the token gets no second one.
    CHECK(encoded("", "ac", 0).ids == Ids{0, 2});
    CHECK(encoded("ac", "c", 0).ids == Ids{0, 2, 2});
}

TEST_CASE("choices are scored behind their context") {
    const std::string line = R"({"context": "a", "choices": ["b", "ab"], "gold": 1, "other": [1]})";
    const ChoiceTask task = task_of("\xEF\xBB\xBF" + line + "\r\n\n" + line + "\n");
    REQUIRE(task.items.size() == 2);
    CHECK(task.scoring == TaskScoring::choices);
    CHECK(task.metric == TaskMetric::acc_norm);
    CHECK(task.items[0].continuations == std::vector<std::string>{" b", " ab"});
    CHECK(task.items[0].context(1) == "a");
    CHECK(task.items[1].place.ends_with(":3"));
    CHECK(task_of(line + "\n" + line, 1).items.size() == 1);
    CHECK(task_of("[" + line + ", " + line + "]").items.size() == 2);
    const auto only = [](const std::string& text) { return task_of(text).items.at(0); };
    CHECK(only(R"({"context": "a", "choices": ["b", "c"], "gold": 0, "delimiter": ""})").continuations[0] ==
          "b");
    // As the harness does, behind the delimiter whatever the choice begins with.
    CHECK(only(R"({"context": "a", "choices": [" b", "c"], "gold": "c"})").continuations[0] == "  b");
    CHECK(only(R"({"context": "a", "choices": [" b", "c"], "gold": "c"})").gold == 1);
    CHECK(task_of(R"({"context": "a", "choices": ["b", "c"], "gold": 0, "metric": "acc", "version": "2.0"})")
              .metric == TaskMetric::acc);
}

TEST_CASE("one continuation is scored behind several contexts") {
    const ChoiceTask task = task_of(
        R"({"contexts": ["a b", "a c"], "continuation": "ab", "gold": 0, "scoring": "partial", "context": "a", "choices": ["x", "y"]})");
    CHECK(task.scoring == TaskScoring::partial);
    CHECK(task.metric == TaskMetric::acc);
    CHECK(task.items[0].context(1) == "a c");
    CHECK(task.items[0].choices == std::vector<std::string>{"ab", "ab"});
    CHECK(task_of(R"({"contexts": ["a b", "a c"], "continuation": "ab", "gold": 0})").scoring ==
          TaskScoring::partial);
}

TEST_CASE("letters of choices are scored behind a prompt that lists them") {
    const ChoiceTask task =
        task_of(R"({"question": " Which one?\u3000", "choices": ["red", "blue", "green"], "gold": "C"})");
    CHECK(task.scoring == TaskScoring::letters);
    CHECK(task.items[0].context(0) == "Which one?\nA. red\nB. blue\nC. green\nAnswer:");
    CHECK(task.items[0].continuations == std::vector<std::string>{" A", " B", " C"});
    CHECK(task.items[0].gold == 2);
    const std::string given =
        R"({"scoring": "letters", "context": "1) red 2) blue:", "choices": ["red", "blue"], "gold": 1})";
    CHECK(task_of(given).items[0].context(0) == "1) red 2) blue:");
    CHECK(task_of(given).items[0].continuations == std::vector<std::string>{" A", " B"});
    CHECK_THROWS_WITH(
        task_of(R"({"scoring": "letters", "context": "Which?", "choices": ["red", "blue"], "gold": 1})"),
        Catch::Contains("does not list the choices") && Catch::Contains("question"));
}

TEST_CASE("a single continuation is what greedy decoding may write") {
    const ChoiceTask task = task_of(R"({"context": "a b", "continuation": "c"})");
    CHECK(task.scoring == TaskScoring::greedy);
    CHECK(task.items[0].continuations == std::vector<std::string>{" c"});
    // A continuation that brings its own space needs no other.
    CHECK(task_of(R"({"context": "a b", "continuation": "\u00a0c"})").items[0].continuations[0] == "\u00a0c");
    CHECK(task_of(R"({"context": "a", "continuation": " c", "delimiter": " "})").items[0].continuations[0] ==
          "  c");
}

TEST_CASE("rows of published data sets are items with the harness's prompts") {
    const auto item = [](const std::string& row) { return task_of(row).items.at(0); };
    const ChoiceItem lambada = item(R"({"text": "so he ate  the cake"})");
    CHECK(lambada.context(0) == "so he ate  the");
    CHECK(lambada.continuations == std::vector<std::string>{" cake"});
    CHECK(item(R"({"text": "one"})").context(0).empty());

    const ChoiceItem copa = item(
        R"({"premise": " It rained\u2026 ", "choice1": "We got wet.", "choice2": "\u00dcs", "question": "effect", "idx": 0, "label": 0})");
    CHECK(copa.context(0) == "It rained therefore");
    CHECK(copa.continuations[0] == "  we got wet.");
    CHECK(copa.gold == 0);
    CHECK(
        task_of(
            R"({"premise": "A.", "choice1": "B", "choice2": "C", "question": "cause", "idx": 0, "label": 1})")
            .metric == TaskMetric::acc);

    const ChoiceItem siqa = item(
        R"({"context": "Al fell.", "question": "Why?", "answerA": "ice", "answerB": "fun", "answerC": "no", "label": "3"})");
    CHECK(siqa.context(0) == "Q: Al fell. Why?\nA:");
    CHECK(siqa.choices == std::vector<std::string>{"ice", "fun", "no"});
    CHECK(siqa.gold == 2);

    const ChoiceItem csqa = item(
        R"({"id": "1", "question": " Where? ", "question_concept": "x", "choices": {"label": ["A", "B"], "text": ["here", "there"]}, "answerKey": "B"})");
    CHECK(csqa.context(0) == "Question: Where?\nA. here\nB. there\nAnswer:");
    CHECK(csqa.gold == 1);

    const ChoiceItem mmlu = item(
        R"({"question": "1+1?", "subject": "abstract_algebra", "choices": ["1", "2", "3", "4"], "answer": 1})");
    CHECK(mmlu.context(0) ==
          "The following are multiple choice questions (with answers) about abstract algebra.\n\n1+1?\nA. "
          "1\nB. 2\nC. 3\nD. 4\nAnswer:");
    CHECK(mmlu.gold == 1);

    CHECK_THROWS_WITH(task_of(R"({"text": "ends in a space "})"), Catch::Contains("text: has no last word"));
    CHECK_THROWS_WITH(
        task_of(
            R"({"context": "A", "question": "Q", "answerA": "a", "answerB": "b", "answerC": "c", "label": ""})"),
        Catch::Contains("label: unknown \"\""));
    CHECK_THROWS_WITH(
        task_of(
            R"({"premise": "A.", "choice1": "B", "choice2": "C", "question": "why", "idx": 0, "label": -1})"),
        Catch::Contains("label: unknown \"-1\", expected one of 0, 1") &&
            Catch::Contains("question: unknown \"why\""));
    CHECK_THROWS_WITH(
        task_of(
            R"({"question": "Q", "question_concept": "x", "choices": {"label": ["A", "B"], "text": ["a", "b"]}, "answerKey": ""})"),
        Catch::Contains("answerKey: unknown"));
    CHECK_THROWS_WITH(task_of(R"({"question": "Q", "subject": "x", "choices": ["a", "b"], "answer": 2})"),
                      Catch::Contains("answer: unknown \"2\", expected one of 0, 1"));
}

TEST_CASE("everything that is wrong with a task's file is said at once, with its line") {
    CHECK_THROWS_WITH(task_of(""), Catch::Contains("no item"));
    CHECK_THROWS_WITH(task_of("[]"), Catch::Contains("no item"));
    CHECK_THROWS_WITH(task_of("\n{"), Catch::Contains(":2: not valid JSON"));
    CHECK_THROWS_WITH(task_of("3"), Catch::Contains(":1: expected an object"));
    CHECK_THROWS_WITH(task_of("\xFF\xFE{"), Catch::Contains("UTF-16"));
    const auto refused = [](const std::string& line, const std::string& words) {
        CAPTURE(line);
        CHECK_THROWS_WITH(task_of(line), Catch::Contains(":1: " + words));
    };
    refused(R"({"context": "a", "choices": ["b"], "gold": 0})", "choices: holds 1");
    refused(R"({"context": "a", "choices": ["b", ""], "gold": 0})", "choices: number 1 (from 0) is empty");
    refused(R"({"context": "a", "choices": ["b", 3], "gold": 0})", "choices: must be a list of texts");
    refused(R"({"context": "a", "choices": ["b", "c"], "gold": 2})", "gold: 2 names none of the 2 choices");
    refused(R"({"context": "a", "choices": ["b", "c"], "gold": -1})", "gold: -1 names none");
    refused(R"({"context": "a", "choices": ["b", "c"], "gold": 18446744073709551615})", "gold: 1844");
    refused(R"({"context": "a", "choices": ["b", "c"], "gold": "x"})", "gold: \"x\" names none");
    refused(R"({"context": "a", "choices": ["b", "b"], "gold": "b"})", "gold: \"b\" names none");
    refused(R"({"context": "a", "choices": ["b", "c"], "gold": true})", "gold: true names none");
    refused(R"({"context": "a", "choices": ["b", "c"]})", "gold: is missing");
    refused(R"({"contxt": "a", "choices": ["b", "c"], "gold": 0})",
            "context: is missing; is \"contxt\" meant?");
    refused(R"({"context": ["a"], "choices": ["b", "c"], "gold": 0})", "context: must be a text");
    refused(R"({"context": "a", "choices": ["b", "c"], "gold": 0, "metric": "f1"})",
            "metric: unknown \"f1\"");
    refused(R"({"context": "a", "choices": ["b", "c"], "gold": 0, "metric": "perplexity"})",
            "metric: an item that is scored as choices has acc_norm, acc, acc_bytes, not perplexity");
    refused(R"({"context": "a", "scoring": "greed", "continuation": "c"})", "scoring: unknown \"greed\"");
    refused(R"({"context": "a", "continuation": ""})", "continuation: is empty");
    refused(R"({"context": "a", "gold": 1})", "choices: is missing");
    const std::string good = R"({"context": "a", "choices": ["b", "c"], "gold": 0})";
    try {
        (void)task_of(good + "\n{\n" + R"({"context": "a", "choices": ["b"], "gold": 7})" + "\n" + good);
        FAIL("a damaged file is read");
    } catch (const Error& error) {
        CHECK_THAT(error.what(), Catch::Contains(":2: not valid") &&
                                     Catch::Contains(":3: choices: holds 1") &&
                                     Catch::Contains(":3: gold: 7"));
    }
    CHECK_THROWS_WITH(task_of(good + "\n" + R"({"context": "a", "continuation": "b"})"),
                      Catch::Contains(":2: scoring: is greedy here and choices in"));
    CHECK_THROWS_WITH(task_of(good + "\n" + good.substr(0, good.size() - 1) + R"(, "metric": "acc"})"),
                      Catch::Contains(":2: metric: is acc here and acc_norm in"));
}
