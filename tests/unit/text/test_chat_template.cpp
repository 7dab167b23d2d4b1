// Chat templates against transformers (tests/golden/make_chat_templates.py), and what strangers may write.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/text/chat_template.hpp"

#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Json = nlohmann::ordered_json;

std::string rendered(const std::string& source, const Json& variables = Json::object()) {
    return ChatTemplate(source, "template").render(variables, 0);
}

/// The input error that a template leads to.
std::string refusal(const std::string& source, const Json& variables = Json::object()) {
    try {
        (void)rendered(source, variables);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        return error.what();
    }
    return "";
}

std::string times(int count, const std::string& text) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("chat templates make what transformers makes of them, and refuse what it refuses") {
    const Json cases =
        Json::parse(read_file(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/chat_templates.json"));
    REQUIRE(cases.size() > 150);
    for (const Json& each : cases) {
        INFO(each.at("name").get<std::string>());
        const std::string source = each.at("template");
        if (each.contains("text")) {
            CHECK(rendered(source, each.at("variables")) == each.at("text").get<std::string>());
        } else {
            CHECK_FALSE(refusal(source, each.at("variables")).empty());
        }
    }
}

TEST_CASE("problems of a chat template have line and column, and what is not known has its name") {
    CHECK(refusal("a\n  é{{ x | nothing }}") == "template:2:11: the filter 'nothing' is not implemented");
    CHECK(refusal("{% include 'a' %}") == "template:1:4: the block 'include' is not implemented");
    CHECK(refusal("\n{{ x is odder }}") == "template:2:9: the test 'odder' is not implemented");
    CHECK(refusal("{{ 'a'.zfill(3) }}") == "template:1:7: the method 'zfill' of texts is not implemented");
    CHECK(refusal("{{ cycler('a') }}") == "template:1:4: the function 'cycler' is not implemented");
    CHECK(refusal("{% for a in x recursive %}{% endfor %}").find("recursive") != std::string::npos);
    CHECK(refusal("{{ '%s' % 1 }}").find("'%'") != std::string::npos);
    CHECK(refusal("{{ f(*x) }}").find("'*'") != std::string::npos);
    CHECK(refusal("{{ {1: 2} }}").find("only strings") != std::string::npos);
    CHECK(refusal("{{ raise_exception('no system') }}") ==
          "template:1:19: the template refuses this conversation: no system");
    // Also inside macros and captured blocks.
    CHECK(refusal("{% macro m() %}\n{{ y.z }}{% endmacro %}\n{{ m() }}") == "template:2:5: 'y' is undefined");
    CHECK(refusal("{{ 99999999999999999999 }}").find("too large") != std::string::npos);
    CHECK(refusal("{{ 'ß'|upper }}").find("'ß'") != std::string::npos);
}

TEST_CASE("a generator is read once") {
    const Json variables = {{"l", {1, 2}}};
    CHECK(rendered("{% set g = l | map('string') | list %}{{ g | join }}{{ g | join }}", variables) ==
          "1212");
    CHECK(refusal("{% set g = l | map('string') %}{{ g | join }}{{ g | join }}", variables)
              .find("read twice") != std::string::npos);
}

TEST_CASE("the time that a template tells is the one that is given") {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    const ChatTemplate told("{{ strftime_now('%d %b %Y %H:%M%Z') }}", "template");
    CHECK(told.render(Json::object(), 86400 * 365) == "01 Jan 1971 00:00");
    CHECK(refusal("{{ strftime_now('" + std::string(500, 'x') + "') }}").find("longer") != std::string::npos);
}

TEST_CASE("templates of strangers end") {
    const auto ends = [](const std::string& source) {
        const std::string said = refusal(source);
        INFO(source.substr(0, 100));
        CHECK_FALSE(said.empty());
    };
    ends("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}");
    ends("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
    ends("{% for a in range(100000) %}{{ 'x' * 1000 }}{% endfor %}");
    ends("{{ 'x' * 9223372036854775807 }}");
    ends("{{ [1] * 9223372036854775807 }}");
    ends(
        "{% set n = namespace(x='xxxxxxxx') %}{% for a in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}");
    ends("{% set n = namespace(x=[]) %}{% for a in range(100) %}{% set n.x = [n.x] %}{% endfor %}");
    ends(
        "{% set n = namespace(x=[1]) %}{% for a in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}");
    ends(
        "{% set n = namespace(x='a') %}{% for a in range(40) %}{% for b in [n.x] %}{% set n.x = loop %}{% endfor %}{% endfor %}{{ n.x }}");
    ends("{{ 2 ** 100 }}");
    ends("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}");
    ends("{{ 1" + times(5000, " + 1") + " }}");
    ends("{{ " + times(5000, "not ") + "1 }}");
    ends("{{ x" + times(5000, "|trim") + " }}");
    ends(times(5000, "{% if x %}"));
    ends("{{ 'a'|map(" + times(5000, "'map', ") + "'upper')|list }}");
    // Namespaces and macros that hold each other leave nothing behind (AddressSanitizer looks).
    CHECK(rendered(
              "{% set n = namespace() %}{% set n.n = n %}{% set n.l = [n] %}"
              "{% for a in [n] %}{% set n.loop = loop %}{% macro m() %}{{ a }}{% endmacro %}{% set n.m = m %}"
              "{% if loop.changed([loop]) %}x{% endif %}{% endfor %}") == "x");
}

TEST_CASE("the work of a template is limited as asked") {
    const ChatTemplate loop("{% for a in range(1000) %}.{% endfor %}", "template");
    CHECK(loop.render(Json::object(), 0).size() == 1000);
    CHECK_THROWS_AS(loop.render(Json::object(), 0, {.work = 10'000, .output = 1 << 20}), Error);
    CHECK_THROWS_AS(loop.render(Json::object(), 0, {.work = 1 << 20, .output = 999}), Error);
}
