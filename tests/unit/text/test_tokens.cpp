#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/parallel.hpp"
#include "core/data/dataset.hpp"
#include "core/text/tokens.hpp"
#include "tests/support/assets.hpp"

#include <map>
#include <numeric>
#include <set>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

/// Every byte is its own token.
class Bytes final : public Tokenizer {
  public:
    Bytes() : Tokenizer({}, "bytes") {}
    [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const override {
        std::vector<std::int32_t> ids;
        for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
        return ids;
    }
    [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override {
        std::string text;
        for (const std::int32_t id : ids) text += static_cast<char>(id);
        return text;
    }
    [[nodiscard]] std::int32_t vocabulary_size() const override { return 256; }
};

/// Tokens first, first + 1, ...
TokenizedText counting(const std::string& name, std::int32_t first, std::size_t count) {
    TokenizedText text{.name = name, .ids = std::vector<std::int32_t>(count), .starts = {0}};
    std::iota(text.ids.begin(), text.ids.end(), first);
    return text;
}

std::vector<std::int32_t> first_tokens(const std::vector<std::span<const std::int32_t>>& windows) {
    std::vector<std::int32_t> firsts;
    for (const auto& window : windows) firsts.push_back(window.front());
    return firsts;
}

}  // namespace

TEST_CASE("documents are encoded one by one and know where they start") {
    const TextData data{.name = "toy", .documents = {"ab", "c", "def"}, .sha256 = {}, .source = {}};
    const TokenizedText plain = tokenize(data, Bytes());
    CHECK(plain.ids == std::vector<std::int32_t>{'a', 'b', 'c', 'd', 'e', 'f'});
    CHECK(plain.starts == std::vector<std::int64_t>{0, 2, 3});
    CHECK(Bytes().decode(plain.document(2)) == "def");
    const TokenizedText separated = tokenize(data, Bytes(), 0);
    CHECK(separated.ids == std::vector<std::int32_t>{'a', 'b', 0, 'c', 0, 'd', 'e', 'f'});
    CHECK(separated.starts == std::vector<std::int64_t>{0, 3, 5});
}

TEST_CASE("stories260k's protocol counts the tokens that its reference figures name") {
    const auto found = test::assets();
    JLCM_SKIP_UNLESS(found && std::filesystem::exists(*found / "data/text"), "no assets");
    const auto tokenizer =
        make_tokenizer({"sentencepiece", read_file(*found / "lm/stories260k/tokenizer.model")});
    const TextData stories =
        load_text(*DatasetChoice::parse("tinystories-heldout").make(), {*found / "data"});
    const TokenizedText tokens = tokenize(stories, *tokenizer);
    std::int64_t scored = 0;  // beginning-of-text and a story, cut to 512 positions
    for (std::size_t i = 0; i < tokens.starts.size(); ++i)
        scored += std::min<std::int64_t>(511, std::ssize(tokens.document(static_cast<std::int64_t>(i))));
    CHECK(scored == 196393);
}

TEST_CASE("token hashes are those of little-endian 32-bit integers") {
    CHECK(token_hash({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const std::vector<std::int32_t> ids{1, 256};  // sha256 of 01 00 00 00 00 01 00 00
    CHECK(token_hash(ids) == "242045e2f1bb37769b514f182fd91b3d215324cb57f187cced1e9c62921dbac3");
}

TEST_CASE("windows don't overlap and the tail is dropped") {
    const TokenizedText text = counting("text", 0, 10);
    CHECK(first_tokens(cut_windows(text.ids, 3)) == std::vector<std::int32_t>{0, 3, 6});
    CHECK(first_tokens(cut_windows(text.ids, 5)) == std::vector<std::int32_t>{0, 5});
    CHECK(cut_windows(text.ids, 11).empty());
    CHECK(cut_windows({}, 1).empty());
    CHECK_THROWS_AS(cut_windows(text.ids, 0), Error);
}

TEST_CASE("a sampler keeps the shares, repeats nothing early, and can go on anywhere") {
    const TokenizedText one = counting("one", 0, 1003);
    const TokenizedText two = counting("two", 100000, 507);
    const WindowSampler sampler({&one, &two}, {3.0, 1.0}, 10, 42);
    const auto all = first_tokens(sampler.windows(0, 240));
    const auto from_two = [&](std::size_t begin, std::size_t end) {
        return std::count_if(all.begin() + static_cast<std::ptrdiff_t>(begin),
                             all.begin() + static_cast<std::ptrdiff_t>(end),
                             [](std::int32_t id) { return id >= 100000; });
    };
    CHECK(from_two(0, 240) == 60);
    for (std::size_t i = 0; i + 4 <= all.size(); i += 4) CHECK(from_two(i, i + 4) == 1);

    std::map<std::int32_t, int> seen_one;
    std::map<std::int32_t, int> seen_two;
    for (const std::int32_t id : all) ++(id < 100000 ? seen_one : seen_two)[id];
    CHECK(seen_one.size() == 100);  // 180 draws of 100 windows
    CHECK(seen_two.size() == 50);   // 60 draws of 50 windows
    for (const auto& [id, times] : seen_one) CHECK(times <= 2);
    for (const auto& [id, times] : seen_two) CHECK(times <= 2);
    CHECK(sampler.distinct_tokens(240) == 1500);
    CHECK(sampler.distinct_tokens(40) == 400);
    CHECK(sampler.distinct_tokens(0) == 0);

    for (const std::int64_t first : {0, 1, 7, 133, 239}) {
        const auto rest = first_tokens(sampler.windows(first, 240 - first));
        CHECK(rest == std::vector<std::int32_t>(all.begin() + first, all.end()));
    }
    CHECK(sampler.windows(5, 0).empty());
    CHECK(first_tokens(WindowSampler({&one, &two}, {3.0, 1.0}, 10, 43).windows(0, 240)) != all);
    CHECK(first_tokens(WindowSampler({&one, &two}, {0.75, 0.25}, 10, 42).windows(0, 240)) == all);
}

TEST_CASE("a sampler refuses shares and texts that can't work") {
    const TokenizedText text = counting("short text", 0, 9);
    const auto message = [&](std::vector<double> shares, std::int64_t length) {
        try {
            const WindowSampler sampler({&text}, std::move(shares), length, 0);
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("no error");
    };
    CHECK(message({1.0}, 9) == "no error");
    CHECK_THAT(message({1.0}, 10), Catch::Contains("short text") && Catch::Contains("9 tokens"));
    CHECK_THAT(message({0.0}, 10), Catch::Contains("zero"));
    CHECK_THAT(message({-1.0}, 3), Catch::Contains("negative"));
    CHECK_THAT(message({std::numeric_limits<double>::quiet_NaN()}, 3), Catch::Contains("no number"));
    CHECK_THAT(message({1.0, 1.0}, 3), Catch::Contains("shares"));
    CHECK_THAT(message({1.0}, 0), Catch::Contains("at least one token"));
}
