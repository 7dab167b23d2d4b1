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
    CHECK_THROWS_WITH(encoded("", "c"), Catch::Contains("no token"));
}

TEST_CASE("what is too long loses its beginning") {
    const auto cut = encoded("ccccc", "bb", {}, 3);
    CHECK(cut.ids == Ids{2, 2, 1, 1});
    CHECK(cut.begin == 2);
    CHECK(encoded("c", "bb", {}, 2).begin == 1);
    CHECK_THROWS_WITH(encoded("c", "bbb", {}, 2), Catch::Contains("beyond"));
}

TEST_CASE("items of a task are read from JSON lines") {
    const std::string plain = R"({"context": "a", "choices": ["b", "ab"], "gold": 1, "other": [1]})";
    const std::string partial =
        R"({"contexts": ["a b", "a c"], "continuation": "ab", "gold": 0, "scoring": "partial", "context": "a", "choices": ["x", "y"]})";
    const ChoiceTask task = task_of(plain + "\n\n" + partial + "\n");
    REQUIRE(task.items.size() == 2);
    CHECK(task.items[0].continuations == std::vector<std::string>{" b", " ab"});
    CHECK(task.items[0].context(1) == "a");
    CHECK(task.items[1].context(1) == "a c");
    CHECK(task.items[1].choices == std::vector<std::string>{"ab", "ab"});
    CHECK(task_of(plain + "\n" + plain, 1).items.size() == 1);
    CHECK(task_of(R"({"context": "a", "choices": ["b", "c"], "gold": 0, "delimiter": ""})")
              .items[0]
              .continuations[0] == "b");
}

TEST_CASE("damaged items are refused with their line") {
    CHECK_THROWS_WITH(task_of(""), Catch::Contains("no item"));
    CHECK_THROWS_WITH(task_of("\n{"), Catch::Contains(":2"));
    CHECK_THROWS_WITH(task_of("[]"), Catch::Contains(":1"));
    CHECK_THROWS_WITH(task_of(R"({"context": "a", "choices": ["b"], "gold": 0})"),
                      Catch::Contains("1 choices"));
    CHECK_THROWS_WITH(task_of(R"({"context": "a", "choices": ["b", ""], "gold": 0})"),
                      Catch::Contains("empty"));
    CHECK_THROWS_WITH(task_of(R"({"context": "a", "choices": ["b", "c"], "gold": 2})"),
                      Catch::Contains("2 of 2"));
    CHECK_THROWS_WITH(task_of(R"({"context": "a", "choices": ["b", "c"], "gold": "x"})"),
                      Catch::Contains(":1"));
}
