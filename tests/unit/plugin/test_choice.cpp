// Plugins: registration, choices in specs, catalogue.
#include "core/base/json.hpp"
#include "core/plugin/catalog.hpp"
#include "core/plugin/choice.hpp"
#include "core/spec/resolve.hpp"

#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace test {

/// A plugin interface as small as can be.
class Shape {
  public:
    virtual ~Shape() = default;
    [[nodiscard]] virtual double area() const = 0;
};

struct SquareOptions {
    double side = 1.0;
    template <class V>
    void fields(V& v) {
        v("side", side, jlcm::Doc{"Length of a side.", "Euclid, book 1"}, jlcm::above(0));
    }
};
class Square : public Shape {
  public:
    using Options = SquareOptions;
    explicit Square(const Options& options) : side_(options.side) {}
    [[nodiscard]] double area() const override { return side_ * side_; }

  private:
    double side_;
};

class Unit : public Shape {
  public:
    using Options = jlcm::NoOptions;
    [[nodiscard]] double area() const override { return 1.0; }
};

struct PairOptions;

struct BoxOptions {
    double side = 2.0;
    double height = 0.0;
    void fields(jlcm::Fields& v) {
        v("side", side, jlcm::Doc{"Length of a side."});
        v("height", height, jlcm::Doc{"How tall."}, jlcm::Required{}, jlcm::Range{0, 9});
    }
};
class Box : public Shape {
  public:
    using Options = BoxOptions;
    explicit Box(const Options& options) : options_(options) {}
    [[nodiscard]] double area() const override { return 4 * options_.side * options_.height; }

  private:
    Options options_;
};

}  // namespace test

namespace jlcm {
template <>
struct KindOf<test::Shape> {
    static constexpr std::string_view name = "shape";
    static constexpr std::string_view doc = "Something with an area.";
};
}  // namespace jlcm

namespace test {

/// A plugin that is made of others.
struct SumOptions {
    std::vector<jlcm::Choice<Shape>> of;
    void fields(jlcm::Fields& v) { v("of", of, jlcm::Doc{"The shapes that are added."}); }
};
class Sum : public Shape {
  public:
    using Options = SumOptions;
    explicit Sum(const Options& options) : options_(options) {}
    [[nodiscard]] double area() const override {
        double sum = 0.0;
        for (const auto& each : options_.of) sum += each.make()->area();
        return sum;
    }

  private:
    Options options_;
};

}  // namespace test

using namespace jlcm;

namespace {

const Registrar<test::Shape, test::Square> square{"square", "Four equal sides.", "Euclid"};
const Registrar<test::Shape, test::Unit> unit{"unit", "Area one."};
const Registrar<test::Shape, test::Box> box{"box", "The sides of a box."};
const Registrar<test::Shape, test::Sum> sum{"sum", "Several shapes."};

struct Drawing {
    Choice<test::Shape> shape{"square"};
    std::vector<Choice<test::Shape>> shapes = {Choice<test::Shape>("unit")};
    std::optional<Choice<test::Shape>> frame;
    void fields(Fields& v) {
        v("shape", shape, Doc{"The main shape."});
        v("shapes", shapes, Doc{"More shapes."});
        v("frame", frame, Doc{"A frame."});
    }
};
const SectionRegistrar<Drawing> section{"drawing", "A test's spec."};

Config given(const std::string& yaml, const std::string& name = "t.yaml") {
    Problems problems;
    const auto config = parse_config(yaml, {name, 1, 1}, problems);
    problems.throw_if_any();
    return *config;
}

Resolved<Drawing> drawing(const Config& config) {
    Problems problems;
    auto result = resolve<Drawing>(config, problems);
    problems.throw_if_any();
    return result;
}
Resolved<Drawing> drawing(const std::string& yaml) {
    return drawing(given(yaml));
}

std::string complaint(const std::string& yaml) {
    try {
        (void)drawing(yaml);
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("a choice is a name, or a map with the plugin's options") {
    CHECK(drawing("{}").value.shape.make()->area() == 1.0);
    CHECK(drawing("shape: unit").value.shape.name() == "unit");
    CHECK(drawing("shape: {type: square, side: 3}").value.shape.make()->area() == 9.0);
    CHECK(drawing("shape: {side: 3}").value.shape.make()->area() == 9.0);
    CHECK(drawing("shapes: [unit, {type: square, side: 2}]").value.shapes[1].make()->area() == 4.0);
    CHECK(drawing("shapes: {type: square, side: 2}").value.shapes.size() == 1);
    CHECK(drawing("shapes: []").value.shapes.empty());
    CHECK_FALSE(drawing("{}").value.frame.has_value());
    CHECK(drawing("frame: unit").value.frame->make()->area() == 1.0);
    CHECK(drawing("shape: {type: sum, of: [unit, {type: sum, of: unit}]}").value.shape.make()->area() == 2.0);
    CHECK(Choice<test::Shape>::parse("{type: square, side: 5}").make()->area() == 25.0);
    CHECK(Choice<test::Shape>("square").make()->area() == 1.0);
}

TEST_CASE("mistakes in a choice are placed and named") {
    CHECK(complaint("shape: sqare") ==
          "t.yaml:1:8: shape: unknown shape \"sqare\", did you mean \"square\"?");
    CHECK(complaint("shape: {type: zzz}") ==
          "t.yaml:1:15: shape: unknown shape \"zzz\", expected one of box, square, sum, unit");
    CHECK(complaint("shape: {type: square, sid: 3}") ==
          "t.yaml:1:23: shape: unknown key \"sid\", did you mean \"side\"?");
    CHECK(complaint("shape: {type: unit, side: 3}") ==
          "t.yaml:1:21: shape: unknown key \"side\", nothing is expected here");
    CHECK(complaint("shapes: [{side: 3}]") ==
          "t.yaml:1:10: shapes.0: the key \"type\" is missing, expected one of box, square, sum, unit");
    CHECK(complaint("shape: [unit]") ==
          "t.yaml:1:8: shape: expected the name of a plugin of kind shape or a map with its \"type\", got a "
          "list");
    CHECK(complaint("shape: {type: square, side: -1}") ==
          "t.yaml:1:29: shape.side: -1 is out of range, expected a number above 0");
    CHECK(complaint("shape: box") == "t.yaml:1:8: shape.height: is missing, expected number from 0 to 9");
    CHECK(complaint("shape: {type: sum, of: [unit, {type: squar}]}\nframe: {type: box}") ==
          "t.yaml:1:38: shape.of.1: unknown shape \"squar\", did you mean \"square\"?\n"
          "t.yaml:2:8: frame.height: is missing, expected number from 0 to 9");
    CHECK_THROWS_WITH(Choice<test::Shape>("nix").make(), Catch::StartsWith("unknown shape \"nix\""));
    CHECK_THROWS_WITH(Choice<test::Shape>().make(), "no shape is chosen");
}

TEST_CASE("a choice's resolved form holds all its options") {
    const auto spec = drawing("shape: square\nshapes: [{type: sum, of: unit}]");
    const std::string text =
        "shape:\n  type: square\n  side: 1\nshapes:\n  - type: sum\n    of:\n      - type: unit\nframe: "
        "null\n";
    CHECK(to_yaml(spec.config) == text);
    CHECK(to_yaml(drawing(text).config) == text);
    CHECK(spec.config.find("shape")->find("type")->origin.str() == "t.yaml:1:8");
    CHECK(spec.config.find("shape")->find("side")->origin.str() == "default");
}

TEST_CASE("another type drops the options of the old one") {
    const auto over = [](const std::string& base, const std::string& top) {
        return drawing(merged(given(base, "base.yaml"), given(top)));
    };
    CHECK(over("shape: {type: square, side: 3}", "shape: {side: 4}").value.shape.make()->area() == 16.0);
    CHECK(over("shape: {type: square, side: 3}", "shape: square").value.shape.make()->area() == 9.0);
    CHECK(over("shape: {type: square, side: 3}", "shape: unit").value.shape.make()->area() == 1.0);
    CHECK(
        over("shape: {type: square, side: 3}", "shape: {type: box, height: 1}").value.shape.make()->area() ==
        8.0);
    CHECK(over("shape: square", "shape: {side: 4}").value.shape.make()->area() == 16.0);
    // The base's options belong to the field's default plugin.
    CHECK(over("shape: {side: 3}", "shape: square").value.shape.make()->area() == 9.0);
    const auto dropped = over("shape: {side: 3}", "shape: {type: box, height: 1}");
    CHECK(dropped.value.shape.make()->area() == 8.0);
    CHECK(dropped.config.find("shape")->find("side")->origin.str() == "default");
}

TEST_CASE("overrides by --set reach into plugins and lists") {
    const auto with = [](const std::string& yaml, const std::vector<std::string>& sets) {
        Config config = given(yaml);
        Problems problems;
        for (const auto& each : sets) apply_set(config, each, problems);
        problems.throw_if_any();
        return drawing(config);
    };
    CHECK(with("{}", {"shape.side=3"}).value.shape.make()->area() == 9.0);
    CHECK(with("shape: square", {"shape.side=3"}).value.shape.make()->area() == 9.0);
    CHECK(with("shape: {type: square, side: 3}", {"shape.type=box", "shape.height=1"})
              .value.shape.make()
              ->area() == 8.0);
    CHECK(with("shape: {type: square, side: 3}", {"shape=unit"}).value.shape.make()->area() == 1.0);
    CHECK(with("shapes: [unit, square]", {"shapes.1.side=4"}).value.shapes[1].make()->area() == 16.0);
    CHECK(with("shapes: [unit, square]", {"shapes=[box]", "shapes.0.height=1"})
              .value.shapes[0]
              .make()
              ->area() == 8.0);
    const auto spec = with("shape: square", {"shape.side=3"});
    CHECK(spec.config.find("shape")->find("side")->origin.str() == "--set shape.side=3");
    CHECK_THROWS_WITH(with("{}", {"shape.sid=3"}),
                      "--set shape.sid=3: shape: unknown key \"sid\", did you mean \"side\"?");
    CHECK_THROWS_WITH(
        with("shapes: [unit]", {"shapes.1=square"}),
        "--set shapes.1=square: \"1\" is no index of the list there, which has 1 entries (t.yaml:1:9)");
}

TEST_CASE("the catalogue lists and describes") {
    CHECK(list_plugins("shape") ==
          "shape: Something with an area.\n  box     The sides of a box.\n  square  Four equal sides.\n"
          "  sum     Several shapes.\n  unit    Area one.\n");
    CHECK(list_plugins().find(list_plugins("shape")) != std::string::npos);
    CHECK(describe("shape.square") ==
          "shape.square: Four equal sides.\nSource: Euclid\nOptions:\n"
          "  side  (number above 0, default 1)\n      Length of a side. [Euclid, book 1]\n");
    CHECK(describe("shape.unit") == "shape.unit: Area one.\nIt has no options.\n");
    CHECK(describe("shape") == list_plugins("shape"));
    CHECK(describe("drawing").find("shape  (shape, default square)") != std::string::npos);
    CHECK_THROWS_WITH(describe("shape.sqare"), "unknown shape \"sqare\", did you mean \"square\"?");
    CHECK_THROWS_WITH(list_plugins("shap"), "unknown kind of plugin \"shap\", did you mean \"shape\"?");
    const std::string reference = reference_markdown();
    CHECK(reference.find("## drawing\n\nA test's spec.\n\n| key |") != std::string::npos);
    CHECK(reference.find("### shape.square\n\nFour equal sides. [Euclid]\n\n| key |") != std::string::npos);
    CHECK(reference.find("| `shapes` | list of shape | `[unit]` | More shapes. |") != std::string::npos);
}

TEST_CASE("the JSON Schema is complete") {
    const auto schema = nlohmann::json::parse(schema_json("drawing"));
    CHECK(schema["properties"]["shape"]["$ref"] == "#/$defs/shape");
    CHECK(schema["properties"]["shape"]["default"] == "square");
    CHECK(schema["properties"]["shapes"]["anyOf"][0]["items"]["$ref"] == "#/$defs/shape");
    CHECK(schema["additionalProperties"] == false);
    const auto& square_schema = schema["$defs"]["shape"]["anyOf"][2];
    CHECK(square_schema["properties"]["type"]["const"] == "square");
    CHECK(square_schema["properties"]["side"]["exclusiveMinimum"] == 0.0);
    CHECK(schema["$defs"]["shape"]["anyOf"][1]["required"] == nlohmann::json::array({"height"}));
}

TEST_CASE("a clash of names is an error that says which") {
    CHECK_THROWS_WITH((register_plugin<test::Shape, test::Unit>("square", "", "")),
                      "plugin shape.square is registered twice: give one of the two another name");
    CHECK_THROWS_WITH((register_plugin<test::Shape, test::Unit>("Bad Name", "", "")),
                      Catch::Contains("a plugin's name is made of"));
    CHECK(list_plugins("shape").find("Four equal sides.") != std::string::npos);
}
