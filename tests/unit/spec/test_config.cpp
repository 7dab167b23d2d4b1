// Reading of spec files: YAML's corners, includes, --set.
#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/spec/config.hpp"
#include "core/spec/problems.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace jlcm;

namespace {

namespace fs = std::filesystem;

/// A directory that lives as long as the object.
class Folder {
  public:
    explicit Folder(const std::string& name)
        : path_(fs::temp_directory_path() / ("jlcm_spec_" + name + "_" + std::to_string(getpid()))) {
        fs::create_directories(path_);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { fs::remove_all(path_); }

    [[nodiscard]] fs::path write(const std::string& name, const std::string& text) const {
        write_file(path_ / name, text);
        return path_ / name;
    }
    [[nodiscard]] std::string name(const std::string& file) const { return (path_ / file).string(); }

  private:
    fs::path path_;
};

/// The flow form of what `yaml` holds, or what is wrong with it.
std::string parsed(const std::string& yaml) {
    Problems problems;
    const auto config = parse_config(yaml, {"t.yaml", 1, 1}, problems);
    if (problems.count() > 0) return problems.text();
    return config ? to_flow_yaml(*config) : "nothing";
}

std::string read(const fs::path& file, const std::vector<std::string>& sets = {}) {
    Problems problems;
    try {
        const Config config = read_config(file, sets, problems);
        problems.throw_if_any();
        return to_flow_yaml(config);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        return error.what();
    }
}

}  // namespace

TEST_CASE("YAML's corners") {
    CHECK(parsed("") == "{}");
    CHECK(parsed("# only a comment\n") == "{}");
    CHECK(parsed("---\n...\n") == "{}");
    CHECK(parsed("a: 1\nb: [x, 'y z', ~, null]\nc: {d: \"5\"}\n") ==
          "{a: 1, b: [x, y z, null, null], c: {d: \"5\"}}");
    CHECK(parsed("\xEF\xBB\xBF"
                 "a: 1\r\nb: 2\r\n") == "{a: 1, b: 2}");
    CHECK(parsed("a: |\n  two\n  lines\n") == "{a: \"two\\nlines\\n\"}");
    CHECK(parsed("[1, 2]") == "[1, 2]");
    CHECK(parsed("just text") == "just text");
    CHECK(parsed("a: &x {b: 1}\nc: *x\nd: [*x, &y 2, *y]\n") == "{a: {b: 1}, c: {b: 1}, d: [{b: 1}, 2, 2]}");
}

TEST_CASE("duplicate keys are found, at any depth, all of them") {
    CHECK(parsed("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n") ==
          "t.yaml:4:3: duplicate key \"c\", first at t.yaml:3:3\n"
          "t.yaml:5:1: duplicate key \"a\", first at t.yaml:1:1");
    CHECK(parsed("{a: 1, \"a\": 2}") == "t.yaml:1:8: duplicate key \"a\", first at t.yaml:1:2");
    CHECK(parsed("a: {b: 1}\na: {b: 1, b: 2}\n").find("2:11: duplicate key \"b\"") != std::string::npos);
}

TEST_CASE("what is no spec is refused with its place") {
    CHECK_THAT(parsed("a: [1, 2\nb: 3\n"),
               Catch::StartsWith("t.yaml:2:") && Catch::Contains("cannot be read as YAML"));
    CHECK_THAT(parsed("a: *nobody\n"), Catch::StartsWith("t.yaml:1:4: cannot be read as YAML"));
    CHECK_THAT(parsed("a: b: c\n"), Catch::Contains("cannot be read as YAML"));
    CHECK(parsed("a: \"open\nb: 3\n") == "t.yaml:1:4: the text's quote is never closed");
    CHECK(parsed("a: &x 'it''s\n") == "t.yaml:1:4: the text's quote is never closed");
    CHECK(parsed("ü: \"ö\\\"\nb: 3\n").find("the text's quote is never closed") != std::string::npos);
    CHECK(parsed("a: &x 'it''s'\nb: |\n  don't\nc: \"\\\"\"") ==
          "{a: \"it's\", b: \"don't\\n\", c: \"\\\"\"}");
    CHECK_THAT(parsed("\ta: 1\n"), Catch::Contains("cannot be read as YAML"));
    CHECK(parsed("a: !!int 3\n").find("t.yaml:1:4: the tag") == 0);
    CHECK(parsed("a: 1\n---\nb: 2\n").find("a second document begins") != std::string::npos);
    CHECK(parsed("a: {<<: {b: 1}}\n").find("t.yaml:1:5: merge keys (<<) are not supported") == 0);
    CHECK(parsed("[a]: 1\n") == "t.yaml:1:1: a key must be a word, got a list");
    CHECK(parsed("a: &x [*x]\n").find("an alias stands inside of what it names") != std::string::npos);
    CHECK(parsed(std::string("a: \0b", 5)) == "t.yaml:1:1: holds a zero byte, expected YAML text");
}

TEST_CASE("bombs are refused") {
    CHECK(parsed(std::string(100'000, '[')).find("nested deeper than 64") != std::string::npos);
    CHECK(parsed(std::string(60, '[') + std::string(60, ']')).find("nested") == std::string::npos);
    std::string deep;
    for (int i = 0; i < 200; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
    CHECK(parsed(deep).find("nested deeper than 64") != std::string::npos);
    std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; ++i) {
        const std::string before = "*a" + std::to_string(i - 1) + ", ";
        std::string line = "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 9; ++j) line += before;
        laughs += line + "x]\n";
    }
    CHECK(parsed(laughs).find("more than 100000 values, aliases included") != std::string::npos);
    CHECK(parsed("a: " + std::string(5 << 20, 'x')).find("longer than") != std::string::npos);
}

TEST_CASE("maps are merged deep, everything else is replaced") {
    const auto over = [](const std::string& base, const std::string& top) {
        Problems problems;
        return to_flow_yaml(
            merged(*parse_config(base, {"b", 1, 1}, problems), *parse_config(top, {"t", 1, 1}, problems)));
    };
    CHECK(over("{a: 1, b: {c: 1, d: 2}}", "{b: {d: 3, e: 4}}") == "{a: 1, b: {c: 1, d: 3, e: 4}}");
    CHECK(over("{a: [1, 2]}", "{a: [3]}") == "{a: [3]}");
    CHECK(over("{a: {type: x, p: 1}}", "{a: {type: y, q: 2}}") == "{a: {type: y, q: 2}}");
    CHECK(over("{a: {type: x, p: 1}}", "{a: {type: x, q: 2}}") == "{a: {type: x, p: 1, q: 2}}");
    CHECK(over("{a: {type: x, p: 1}}", "{a: y}") == "{a: {type: y}}");
    CHECK(over("{a: x}", "{a: {p: 1}}") == "{a: {type: x, p: 1}}");
    CHECK(over("{a: {b: 1}}", "{a: null}") == "{a: null}");
    CHECK(over("{}", "{a: {type: x}}") == "{a: {type: x}}");
}

TEST_CASE("an included spec lies below the file that includes it") {
    const Folder folder("include");
    (void)folder.write("deep/base.yaml", "a: 1\nb: {c: 1, d: 2}\n");
    (void)folder.write("deep/middle.yaml", "include: base.yaml\nb: {c: 5}\n");
    (void)folder.write("other.yaml", "a: 7\nz: 1\n");
    CHECK(read(folder.write("one.yaml", "include: deep/middle.yaml\nb: {d: 9}\n")) ==
          "{a: 1, b: {c: 5, d: 9}}");
    CHECK(read(folder.write("two.yaml", "include: [deep/base.yaml, other.yaml]\nz: 2\n")) ==
          "{a: 7, b: {c: 1, d: 2}, z: 2}");
    CHECK(read(folder.write("twice.yaml", "include: [other.yaml, other.yaml]\n")) == "{a: 7, z: 1}");
    CHECK(read(folder.write("sets.yaml", "include: other.yaml\n"), {"a=8", "n.m=[1, 2]", "n.m.1=5"}) ==
          "{a: 8, z: 1, n: {m: [1, 5]}}");

    Problems problems;
    const Config config = read_config(folder.name("one.yaml"), {"a=3"}, problems);
    CHECK(config.find("a")->origin.str() == "--set a=3");
    CHECK(config.find("b")->find("c")->origin.str() == folder.name("deep/middle.yaml") + ":2:8");
    CHECK(config.find("b")->find("d")->origin.str() == folder.name("one.yaml") + ":2:8");
}

TEST_CASE("an include that cannot be is an error with its place") {
    const Folder folder("bad_include");
    const std::string missing = folder.name("missing.yaml");
    CHECK(read(folder.write("one.yaml", "a: 1\ninclude: missing.yaml\n")) ==
          folder.name("one.yaml") + ":2:10: include: there is no file " + missing);
    CHECK(read(folder.write("self.yaml", "include: self.yaml\n")) ==
          folder.name("self.yaml") + ":1:10: include: a cycle: " + folder.name("self.yaml") + " -> " +
              folder.name("self.yaml"));
    (void)folder.write("b.yaml", "include: [c.yaml]\n");
    (void)folder.write("c.yaml", "include: ./a.yaml\n");
    CHECK_THAT(read(folder.write("a.yaml", "include: b.yaml\n")),
               Catch::StartsWith(folder.name("c.yaml") + ":1:10: include: a cycle: ") &&
                   Catch::Contains("b.yaml -> "));
    CHECK_THAT(read(folder.write("list.yaml", "include: [[a.yaml]]\n")),
               Catch::Contains("expected the path of a spec"));
    (void)folder.write("broken.yaml", "a: [1\n");
    CHECK_THAT(
        read(folder.write("on_broken.yaml", "a: 1\ninclude: broken.yaml\n")),
        Catch::StartsWith(folder.name("broken.yaml") + ":2:") && Catch::Contains("cannot be read as YAML"));
}

TEST_CASE("a spec that is no map, or no file") {
    const Folder folder("no_map");
    CHECK(read(folder.write("list.yaml", "- a\n")) ==
          folder.name("list.yaml") + ":1:1: a spec is a map of keys, got a list");
    CHECK(read(folder.write("text.yaml", "text\n")) ==
          folder.name("text.yaml") + ":1:1: a spec is a map of keys, got \"text\"");
    CHECK(read(folder.write("empty.yaml", "")) == "{}");
    CHECK_THAT(read(folder.name("none.yaml")), Catch::Contains("none.yaml"));
}

TEST_CASE("overrides by --set are checked") {
    const auto set = [](const std::string& assignment) {
        Problems problems;
        Config root = *parse_config("a: {b: [1, 2]}\n", {"t.yaml", 1, 1}, problems);
        apply_set(root, assignment, problems);
        return problems.count() > 0 ? problems.text() : to_flow_yaml(root);
    };
    CHECK(set("a.b.0=7") == "{a: {b: [7, 2]}}");
    CHECK(set("x.y.z=text with spaces") == "{a: {b: [1, 2]}, x: {y: {z: text with spaces}}}");
    CHECK(set("x={y: 1}") == "{a: {b: [1, 2]}, x: {y: 1}}");
    CHECK(set("x=a=b") == "{a: {b: [1, 2]}, x: \"a=b\"}");
    CHECK(set("x=") == "{a: {b: [1, 2]}, x: null}");
    CHECK(set("a=null") == "{a: null}");
    CHECK(set("x") == "--set x: expected key=value, the key as a.b or a.0.b");
    CHECK(set("=1") == "--set =1: expected key=value, the key as a.b or a.0.b");
    CHECK(set("a..b=1") == "--set a..b=1: expected key=value, the key as a.b or a.0.b");
    CHECK_THAT(set("a.b.2=1"),
               Catch::Contains("\"2\" is no index of the list there, which has 2 entries (t.yaml:1:8)"));
    CHECK_THAT(set("a.b.-1=1"), Catch::Contains("is no index"));
    CHECK_THAT(set("x=[1"), Catch::StartsWith("--set x=[1: cannot be read as YAML"));
}

TEST_CASE("suggestions are near, or not given") {
    const std::vector<std::string> words = {"rate", "rounds", "per_row", "codebook_init"};
    CHECK(nearest_word("rat", words) == "rate");
    CHECK(nearest_word("raet", words) == "rate");
    CHECK(nearest_word("Per-Row", words) == "per_row");
    CHECK(nearest_word("codebookinit", words) == "codebook_init");
    CHECK(nearest_word("x", words).empty());
    CHECK(nearest_word("grouping", words).empty());
    CHECK(nearest_word("", words).empty());
    CHECK(nearest_word(std::string(100'000, 'a'), words).empty());
    CHECK(suggestion("q", {}) == ", nothing is expected here");
}
