// Decoding of options structs: types, ranges, defaults, and what each mistake is called.
#include "core/base/error.hpp"
#include "core/spec/document.hpp"
#include "core/spec/resolve.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

enum class Scored { all, second_half };
EnumNames<Scored> enum_names(Scored /*unused*/) {
    return {{Scored::all, "all", "every position"}, {Scored::second_half, "second_half"}};
}

struct Inner {
    int depth = 3;
    std::string label = "inner";
    template <class V>
    void fields(V& v) {
        v("depth", depth, Doc{"How deep."}, Range{1, 8});
        v("label", label, Doc{"What it is called."});
    }
};

struct Outer {
    bool flag = false;
    int count = 2;
    std::int64_t big = 1;
    double rate = 0.5;
    std::string name;
    Scored scored = Scored::all;
    std::optional<double> limit;
    std::vector<std::string> words = {"one"};
    std::vector<double> rates;
    std::vector<bool> flags;
    Inner inner;
    std::vector<Inner> list;

    void fields(Fields& v) {
        v("flag", flag, Doc{"A switch."});
        v("count", count, Doc{"How many."}, Range{1, 10});
        v("big", big, Doc{"A large number."});
        v("rate", rate, Doc{"A rate.", "section 4"}, Range{0.0, 1.0});
        v("name", name, Doc{"What it is called."}, Required{});
        v("scored", scored, Doc{"Which positions count."});
        v("limit", limit, Doc{"A limit."}, above(0));
        v("words", words, Doc{"Words."});
        v("rates", rates, Doc{"Rates."}, at_least(0));
        v("flags", flags, Doc{"Switches."});
        v("inner", inner, Doc{"A section."});
        v("list", list, Doc{"Sections."});
    }
    void validate(Problems& problems) const {
        if (limit && *limit < rate) problems.field("limit", "must not be below rate ({})", rate);
    }
};

/// Depth has a meaning for digging only.
struct Tool {
    std::string kind = "spade";
    std::int64_t depth = 3;
    void fields(Fields& v) {
        v("kind", kind, Doc{"What it is."});
        v("depth", depth, Doc{"How deep it digs."}, at_least(1),
          When{[this] { return kind == "spade"; }, "only a spade digs"});
    }
};

Resolved<Outer> resolved(const std::string& yaml) {
    Problems problems;
    const auto config = parse_config(yaml, {"t.yaml", 1, 1}, problems);
    if (!config) problems.throw_if_any();
    auto result = resolve<Outer>(*config, problems);
    problems.throw_if_any();
    return result;
}

/// What is wrong with `yaml`, or "".
std::string complaint(const std::string& yaml) {
    try {
        (void)resolved(yaml);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("a field that has no meaning is refused where it is given, and not written") {
    const auto tool = [](const std::string& yaml) {
        Problems problems;
        const auto config = parse_config(yaml, {"t.yaml", 1, 1}, problems);
        auto result = resolve<Tool>(*config, problems);
        problems.throw_if_any();
        return result;
    };
    CHECK(tool("{depth: 5}").value.depth == 5);
    CHECK(tool("{}").config.find("depth")->text == "3");
    CHECK_THROWS_WITH(tool("{depth: 0}"), Catch::Contains("at least 1"));
    // The order of keys is of no matter; null takes back what an included file gives.
    for (const std::string yaml : {"{kind: axe, depth: 5}", "{depth: 0, kind: axe}"})
        CHECK_THROWS_WITH(tool(yaml),
                          Catch::Contains("depth: has no meaning here, only a spade digs; leave it out"));
    const auto axe = tool("{kind: axe, depth: null}");
    CHECK(axe.config.find("depth") == nullptr);
    CHECK(axe.value.depth == 3);
    CHECK(tool(to_yaml(axe.config)).value.kind == "axe");
}

TEST_CASE("every type is decoded, and defaults stay") {
    const auto spec = resolved(
        "name: x\nflag: true\ncount: 7\nbig: -9223372036854775808\nrate: 1e-3\nscored: second_half\nlimit: "
        "2\n"
        "words: [a, 'b c', 7]\nrates: 0.25\nflags: [true, false]\ninner: {depth: 5}\nlist: [{depth: 1}, "
        "{label: z}]\n");
    CHECK(spec.value.flag);
    CHECK(spec.value.count == 7);
    CHECK(spec.value.big == std::numeric_limits<std::int64_t>::min());
    CHECK(spec.value.rate == 1e-3);
    CHECK(spec.value.scored == Scored::second_half);
    CHECK(spec.value.limit == 2.0);
    CHECK(spec.value.words == std::vector<std::string>{"a", "b c", "7"});
    CHECK(spec.value.rates == std::vector<double>{0.25});
    CHECK(spec.value.flags == std::vector<bool>{true, false});
    CHECK(spec.value.inner.depth == 5);
    CHECK(spec.value.inner.label == "inner");
    REQUIRE(spec.value.list.size() == 2);
    CHECK(spec.value.list[0].depth == 1);
    CHECK(spec.value.list[1].label == "z");
    CHECK(spec.value.list[1].depth == 3);
}

TEST_CASE("an unknown key comes with its place and a suggestion") {
    CHECK(complaint("name: x\ncuont: 3\n") == "t.yaml:2:1: unknown key \"cuont\", did you mean \"count\"?");
    CHECK(complaint("name: x\ninner:\n  dept: 3\n") ==
          "t.yaml:3:3: inner: unknown key \"dept\", did you mean \"depth\"?");
    CHECK(complaint("name: x\ninner: {quux: 3}\n") ==
          "t.yaml:2:9: inner: unknown key \"quux\", expected one of depth, label");
    CHECK(complaint("name: x\nlist: [{depth: 1}, {Label: x}]\n") ==
          "t.yaml:2:21: list.1: unknown key \"Label\", did you mean \"label\"?");
}

TEST_CASE("wrong types say what was expected") {
    CHECK(complaint("name: x\ncount: three\n") ==
          "t.yaml:2:8: count: expected an integer from 1 to 10, got \"three\"");
    CHECK(complaint("name: x\ncount: [1]\n") ==
          "t.yaml:2:8: count: expected an integer from 1 to 10, got a list");
    CHECK(complaint("name: x\ncount: {a: 1}\n") ==
          "t.yaml:2:8: count: expected an integer from 1 to 10, got a map");
    CHECK(complaint("name: x\ncount: '3'\n") ==
          "t.yaml:2:8: count: expected an integer from 1 to 10, got the text \"3\"");
    CHECK(complaint("name: x\ncount: 3.0\n") ==
          "t.yaml:2:8: count: expected an integer from 1 to 10, got \"3.0\", did you mean 3?");
    CHECK(complaint("name: x\nbig: 1e3\n") ==
          "t.yaml:2:6: big: expected an integer, got \"1e3\", did you mean 1000?");
    CHECK(complaint("name: x\nbig: 3x\n") == "t.yaml:2:6: big: expected an integer, got \"3x\"");
    CHECK(complaint("name: x\nflag: yes\n") ==
          "t.yaml:2:7: flag: expected true or false, got \"yes\", did you mean true?");
    CHECK(complaint("name: x\nflag: Off\n") ==
          "t.yaml:2:7: flag: expected true or false, got \"Off\", did you mean false?");
    CHECK(complaint("name: x\ncount:\n") ==
          "t.yaml:2:1: count: has no value, expected an integer from 1 to 10; leave the key out for its "
          "default");
    CHECK(complaint("name: [x]\n") == "t.yaml:1:7: name: expected text, got a list");
    CHECK(complaint("name: x\ninner: 3\n") == "t.yaml:2:8: inner: expected a map of keys, got \"3\"");
    CHECK(complaint("name: x\nrates: [1, a]\n") ==
          "t.yaml:2:12: rates.1: expected a finite number at least 0, got \"a\"");
    CHECK(complaint("name: x\nscored: secondhalf\n") ==
          "t.yaml:2:9: scored: unknown value \"secondhalf\", did you mean \"second_half\"?");
    CHECK(complaint("name: x\nscored: none\n") ==
          "t.yaml:2:9: scored: unknown value \"none\", expected one of all, second_half");
}

TEST_CASE("ranges") {
    CHECK(complaint("name: x\ncount: 0\n") ==
          "t.yaml:2:8: count: 0 is out of range, expected an integer from 1 to 10");
    CHECK(complaint("name: x\ncount: 11\n") != "");
    CHECK(complaint("name: x\ncount: 10\n") == "");
    CHECK(complaint("name: x\nrate: 1.0001\n") ==
          "t.yaml:2:7: rate: 1.0001 is out of range, expected a number from 0 to 1");
    CHECK(complaint("name: x\nlimit: 0\n") ==
          "t.yaml:2:8: limit: 0 is out of range, expected a number above 0");
    CHECK(complaint("name: x\nrates: [0, -0.5]\n") ==
          "t.yaml:2:12: rates.1: -0.5 is out of range, expected a number at least 0");
    CHECK(Range{0, 1, true, true}.str() == "above 0 and below 1");
    CHECK(Range{}.str().empty());
}

TEST_CASE("not-a-number, infinity and overflow are refused") {
    for (const std::string text :
         {".nan", ".inf", "-.inf", "nan", "inf", "infinity", "NaN", "1e", "--1", "0x10"})
        CHECK(complaint("name: x\nrate: " + text + "\n") ==
              "t.yaml:2:7: rate: expected a finite number from 0 to 1, got \"" + text + "\"");
    CHECK(complaint("name: x\nrate: 1e999\n") ==
          "t.yaml:2:7: rate: 1e999 is too large or too small for a double precision number");
    CHECK(complaint("name: x\nbig: 9223372036854775808\n") ==
          "t.yaml:2:6: big: 9223372036854775808 is out of range, expected an integer from "
          "-9223372036854775808 to "
          "9223372036854775807");
    CHECK(
        complaint("name: x\ncount: 4294967298\n") ==
        "t.yaml:2:8: count: 4294967298 is out of range, expected an integer from -2147483648 to 2147483647");
}

TEST_CASE("all problems come at once, in the order of the file") {
    CHECK(complaint("rate: 2\ncuont: 3\ninner:\n  depth: 9\n  depth: 8\nflag: 1\n") ==
          "t.yaml:1:1: name: is missing, expected text\n"
          "t.yaml:1:7: rate: 2 is out of range, expected a number from 0 to 1\n"
          "t.yaml:2:1: unknown key \"cuont\", did you mean \"count\"?\n"
          "t.yaml:4:10: inner.depth: 9 is out of range, expected an integer from 1 to 8\n"
          "t.yaml:5:3: duplicate key \"depth\", first at t.yaml:4:3\n"
          "t.yaml:6:7: flag: expected true or false, got \"1\", did you mean true?");
}

TEST_CASE("combinations are checked where the fields are good, at the field's place") {
    CHECK(complaint("name: x\nlimit: 0.25\n") == "t.yaml:2:8: limit: must not be below rate (0.5)");
    CHECK(complaint("name: x\nlimit: 0.25\nrate: 0.1\n") == "");
    CHECK(complaint("name: x\nlimit: 0.25\ncount: 99\n").find("must not") == std::string::npos);
}

TEST_CASE("the resolved form holds every value, can be read again and does not depend on the spelling") {
    const auto one = resolved("name: 'true'\nrate: 1e-1\nwords: a\nlimit: null\n");
    const auto two = resolved("{words: [a], rate: 0.1, name: \"true\", flag: false}");
    const std::string canonical = to_yaml(one.config);
    CHECK(canonical == to_yaml(two.config));
    CHECK(canonical ==
          "flag: false\ncount: 2\nbig: 1\nrate: 0.1\nname: \"true\"\nscored: all\nlimit: null\nwords: "
          "[a]\nrates: []\n"
          "flags: []\ninner:\n  depth: 3\n  label: inner\nlist: []\n");
    CHECK(to_yaml(resolved(canonical).config) == canonical);
}

TEST_CASE("hard texts survive the round trip") {
    for (const std::string text :
         {"",          " ",       "a: b",      "#no",         "- x",      "{",
          "]",         "1",       "0x1F",      "null",        "~",        "yes",
          "it's",      "a\"b\\c", "tab\there", "line\nbreak", "\x01\x7f", "ünï©ode 模型 🙂",
          "trailing ", "%",       "@at",       "!tag",        "&a",       "*b",
          "|",         ">",       "?",         ",",           "..."}) {
        Outer outer;
        outer.name = text;
        outer.words = {text, "x", text};
        const std::string yaml = to_yaml(encode_options(outer));
        INFO(yaml);
        const auto again = resolved(yaml);
        CHECK(again.value.name == text);
        CHECK(again.value.words == outer.words);
    }
}

TEST_CASE("origins stand behind the values") {
    const auto spec = resolved("name: x\nwords: a\ninner:\n  depth: 5\nlist:\n  - {depth: 2}\n");
    const std::string text = to_yaml_with_origins(spec.config);
    INFO(text);
    CHECK(text.find("name: x           # t.yaml:1:7\n") != std::string::npos);
    CHECK(text.find("words: [a]        # t.yaml:2:8\n") != std::string::npos);
    CHECK(text.find("  depth: 5        # t.yaml:4:10\n") != std::string::npos);
    CHECK(text.find("  label: inner    # default\n") != std::string::npos);
    CHECK(text.find("  - depth: 2      # t.yaml:6:13\n") != std::string::npos);
    CHECK(to_yaml(resolved(text).config) == to_yaml(spec.config));
}

TEST_CASE("documents show types, bounds, defaults and sources") {
    const auto docs = document_options<Outer>();
    const std::string table = markdown_table(docs);
    CHECK(table.find("| `rate` | number from 0 to 1 | `0.5` | A rate. [section 4] |") != std::string::npos);
    CHECK(table.find("| `name` | text | required | What it is called. |") != std::string::npos);
    CHECK(table.find(
              "| `scored` | all \\| second_half | `all` | Which positions count. all: every position. |") !=
          std::string::npos);
    CHECK(table.find("| `limit` | number or none above 0 | `none` |") != std::string::npos);
    CHECK(table.find("| `list[].depth` | integer from 1 to 8 | `3` |") != std::string::npos);
    CHECK(describe_fields(docs).find(
              "  rate  (number from 0 to 1, default 0.5)\n      A rate. [section 4]\n") != std::string::npos);
}

TEST_CASE("a declaration that cannot work is our mistake") {
    struct Twice {
        int a = 0;
        int b = 0;
        void fields(Fields& v) {
            v("a", a, Doc{""});
            v("a", b, Doc{""});
        }
    };
    CHECK_THROWS_WITH(document_options<Twice>(), Catch::Contains("declares \"a\" twice"));
}
