// Axes, colours and panels of plots.

#include "core/report/facets.hpp"
#include "core/report/palette.hpp"
#include "core/report/plot_axis.hpp"

#include <cmath>
#include <limits>
#include <set>

#include <catch2/catch.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr double not_finite = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Relative luminance of WCAG 2.1.
double luminance(const std::string& colour) {
    const auto channel = [&](std::size_t at) {
        const double c = std::stoi(colour.substr(1 + 2 * at, 2), nullptr, 16) / 255.0;
        return c <= 0.03928 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
    };
    return 0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2);
}

}  // namespace

TEST_CASE("an axis holds its values, and only finite ones make it") {
    const Axis axis = robust_axis({3, not_finite, 1, infinity, 2}, {.margin = 0.1});
    CHECK(axis.low == Approx(0.8));
    CHECK(axis.high == Approx(3.2));
    CHECK(axis.share(2) == Approx(0.5));
    CHECK(axis.share(100) == 1);
    CHECK(axis.holds(1));
    CHECK_FALSE(axis.holds(not_finite));
    CHECK_FALSE(axis.holds(4));
    REQUIRE_FALSE(axis.ticks.empty());
    for (const auto& [tick, text] : axis.ticks) CHECK(axis.holds(tick));
    // Nothing, one value, and what is never negative.
    CHECK(robust_axis({}, {}).high == 1);
    CHECK(robust_axis({not_finite}, {}).high == 1);
    const Axis one = robust_axis({5, 5}, {});
    CHECK(one.low < 5);
    CHECK(one.high > 5);
    CHECK(robust_axis({0, 1}, {}).low == 0);
    CHECK(robust_axis({-1, 1}, {}).low < -1);
}

TEST_CASE("a logarithmic axis wants positive values that span more than a little") {
    CHECK(robust_axis({1, 100}, {.log = true}).is_log);
    CHECK_FALSE(robust_axis({1, 2}, {.log = true}).is_log);
    CHECK_FALSE(robust_axis({0, 100}, {.log = true}).is_log);
    CHECK_FALSE(robust_axis({1, 9}, {.log = true, .log_from = 10}).is_log);
    const Axis axis = robust_axis({0.001, 10}, {.log = true, .margin = 0});
    CHECK(axis.share(0.1) == Approx(0.5));
    CHECK(axis.share(0) == 0);
}

TEST_CASE("values far outside set no end, unless the axis is to be whole") {
    std::vector<double> values;
    for (int i = 0; i < 20; ++i) values.push_back(10 + i);
    values.push_back(1e9);
    CHECK(robust_axis(values, {}).high < 40);
    CHECK(robust_axis(values, {.log = true}).high < 100);
    CHECK(robust_axis(values, {.whole = true}).high > 1e9);
    // Too few to tell.
    CHECK(robust_axis({1, 2, 3, 1e9}, {}).high > 1e9);
}

TEST_CASE("ticks are short, and differ") {
    CHECK(tick_text(0) == "0");
    CHECK(tick_text(1000) == "1000");
    CHECK(tick_text(58000000) == "58M");
    CHECK(tick_text(0.05) == "0.05");
    const Axis axis = robust_axis({59268663, 59268911}, {});
    std::set<std::string> texts;
    for (const auto& [tick, text] : axis.ticks) texts.insert(text);
    CHECK(texts.size() == axis.ticks.size());
}

TEST_CASE("a method has one colour whatever stands beside it, and variants share it") {
    const auto together = styles_of({"frozen", "nearest", "inverse-adam", "something else"});
    CHECK(together[1] == styles_of({"nearest"})[0]);
    CHECK(together[2].colour == styles_of({"inverse"})[0].colour);
    CHECK(together[2].dash != styles_of({"inverse"})[0].dash);
    CHECK(styles_of({"LNQ, weighted"})[0] == styles_of({"lnq"})[0]);
    for (const char* other :
         {"frozen", "nearest", "inverse", "softmax", "naive_ste", "exponential", "adjacent", "curvature"})
        CHECK(styles_of({"gumbel"})[0].colour != styles_of({other})[0].colour);
    // Other names get what is free, up to 28 styles.
    std::vector<std::string> names{"nearest", "softmax"};
    for (int i = 0; i < 26; ++i) names.push_back(fmt::format("idea {}", i));
    std::set<std::pair<std::string, Dash>> different;
    for (const LineStyle& style : styles_of(names)) different.emplace(style.colour, style.dash);
    CHECK(different.size() == names.size());
    names.push_back("one more");
    CHECK(styles_of(names).size() == names.size());
}

TEST_CASE("numbers go from light to dark") {
    const auto styles = styles_of({"4", "2", "16"});
    CHECK(luminance(styles[1].colour) > luminance(styles[0].colour));
    CHECK(luminance(styles[0].colour) > luminance(styles[2].colour));
    double last = 2;
    for (int i = 0; i <= 20; ++i) {
        const double own = luminance(shade(i / 20.0));
        CHECK(own < last);
        last = own;
    }
    CHECK(shade(not_finite) == shade(0));
}

TEST_CASE("few things share a panel, many are cut by their axes, one long axis becomes panels") {
    std::vector<Labels> few;
    for (const char* method : {"a", "b"})
        for (const char* bits : {"2", "3"})
            few.push_back({{"bits", bits}, {"method", method}, {"same", "x"}});
    const Facets one = facets_of(few);
    CHECK(one.panels == std::vector<std::string>{""});
    CHECK(one.of[0].title == "bits 2, a");

    std::vector<Labels> many;
    for (const char* method : {"a", "b", "c"})
        for (const char* bits : {"2", "3", "4", "5"}) many.push_back({{"bits", bits}, {"method", method}});
    const Facets cut = facets_of(many);
    CHECK(cut.panels == std::vector<std::string>{"bits 2", "bits 3", "bits 4", "bits 5"});
    CHECK(cut.of[5].title == "b");
    CHECK(cut.of[5].panel == 1);
    CHECK(cut.of[5].style == cut.of[4].style);

    std::vector<Labels> ideas;
    for (int i = 0; i < 17; ++i) ideas.push_back({{"idea", fmt::format("idea {}", i)}});
    const Facets long_axis = facets_of(ideas);
    CHECK(long_axis.shows_others);
    CHECK(long_axis.panels.size() == 17);
    CHECK(facets_of({{{"x", "1"}}}).panels.size() == 1);
}
