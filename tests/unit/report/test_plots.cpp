// Plots: what is made of metrics and figures, and what the picture says of it.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/report/plot_file.hpp"
#include "core/report/plot_svg.hpp"
#include "core/report/quality_plots.hpp"
#include "core/report/run_plots.hpp"
#include "tests/support/temporary.hpp"

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <regex>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Catch::Matchers::Contains;
using nlohmann::json;

constexpr double not_finite = std::numeric_limits<double>::quiet_NaN();

RunRecord run_with(const std::filesystem::path& directory, const std::string& estimator, int seed,
                   const std::string& metrics) {
    write_file(directory / "metrics.jsonl", metrics);
    RunRecord run{.directory = directory, .labels = {}, .result = {}, .items = {}, .spec = {}};
    run.labels = {{"estimator", estimator}, {"seed", std::to_string(seed)}};
    run.result = {{"hash", directory.filename().string() + "0123456789abcdef"},
                  {"footprint", {{"compressed_weights", 100}}}};
    return run;
}

std::string step(int block, int number, double loss, int jumps) {
    return fmt::format(R"({{"stage":"learn","block":{},"step":{},"loss":{},"moved":0.1,"jumps":[{},1,1,2]}})",
                       block, number, loss, jumps) +
           "\n";
}

std::string solved(const char* weight, int block, const char* objective, const char* error) {
    return fmt::format(R"({{"stage":"solve","block":{},"weight":"{}","objective":{}{}}})", block, weight,
                       objective, error) +
           "\n";
}

RunRecord measured(Labels labels, double bits, double perplexity, double seconds = 60) {
    static int number = 0;
    RunRecord run{.directory = fmt::format("run{}", number++),
                  .labels = std::move(labels),
                  .result = {},
                  .items = {},
                  .spec = Config::map()};
    json model{{"value", perplexity}, {"stderr", 1.0}, {"kl", 0.5}};
    if (!std::isfinite(perplexity)) model["not_finite"] = {{"value", "inf"}};
    run.result = {
        {"hash", fmt::format("{:012}", number)},
        {"name", "run"},
        {"footprint", {{"linear_bits_per_weight", bits}, {"file_bytes", 1000 * bits}}},
        {"stages",
         {{{"name", "load"}, {"seconds", 5}},
          {{"name", "learn"}, {"seconds", seconds}, {"cached", {{"seconds", 60}}}},
          {{"name", "evaluate"}, {"seconds", 7}}}},
        {"evaluations",
         {{{"title", "perplexity, x"},
           {"metric", "perplexity"},
           {"protocol", {{"text", "x"}}},
           {"models", {{"original", {{"value", 20.0}, {"stderr", 1.0}}}, {"compressed", model}}}}}}};
    return run;
}

std::vector<double> ys(const PlotSeries& series) {
    std::vector<double> values;
    for (const PlotPoint& point : series.points) values.push_back(point.y);
    return values;
}

std::vector<std::string> titles(const PlotPanel& panel) {
    std::vector<std::string> found;
    for (const PlotSeries& series : panel.series) found.push_back(series.title);
    return found;
}

std::size_t count(const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
}

}  // namespace

TEST_CASE(
    "curves are means over blocks and seeds with their error, jumps are counted by length, errors are those "
    "of the last step") {
    const test::TemporaryDirectory folder;
    const std::vector<RunRecord> runs = {
        run_with(folder.path() / "a", "near", 1,
                 step(0, 0, 4, 5) + step(0, 1, 2, 5) + step(1, 0, 8, 5) + step(1, 1, 6, 5)),
        run_with(folder.path() / "b", "near", 2,
                 step(0, 0, 2, 5) + step(0, 1, 2, 5) + step(1, 0, 2, 5) + step(1, 1, 2, 5)),
        run_with(folder.path() / "c", "far", 1, "")};
    const Plot loss = loss_plot(runs, "learn");
    REQUIRE(loss.panels.size() == 1);
    REQUIRE(loss.panels[0].series.size() == 1);
    const PlotSeries& near = loss.panels[0].series[0];
    CHECK(near.title == "near");
    CHECK(ys(near) == std::vector<double>{4, 3});
    CHECK(near.points[0].error == Approx(2));
    CHECK(near.runs == std::vector<std::string>{"a0123456789a", "b0123456789a"});
    CHECK(loss_plot(runs, "distill").panels.empty());

    const Plot jumps = jump_plot(runs);
    CHECK(jumps.names == std::vector<std::string>{"near"});
    REQUIRE(jumps.panels.size() == 1);
    CHECK(jumps.panels[0].series[0].points.front().x == Approx(0.2));
    CHECK(jumps.panels[0].series[1].points.front().x == Approx(0.04));
    CHECK(jumps.panels[0].series[2].points.front().x == Approx(0.12));

    const Plot steps = jump_steps_plot(runs, "learn");
    REQUIRE(steps.panels.size() == 1);
    CHECK(titles(steps.panels[0]) == std::vector<std::string>{"by 1 codeword", "by 2", "by 3 or more"});
    CHECK(ys(steps.panels[0].series[0]) == std::vector<double>{0.1, 0.1});
    CHECK(ys(steps.panels[0].series[2]) == std::vector<double>{0.06, 0.06});
    CHECK(jump_steps_plot(runs, "distill").panels.empty());

    const Plot error = error_plot(runs);
    REQUIRE(error.panels.size() == 1);
    CHECK(ys(error.panels[0].series[0]) == std::vector<double>{2, 4});

    // What was read is not read again.
    write_file(folder.path() / "a/metrics.jsonl", "");
    CHECK(ys(loss_plot(runs, "learn").panels.at(0).series.at(0)) == std::vector<double>{4, 3});
    const RunRecord damaged = run_with(folder.path() / "c", "far", 1, "{\"stage\": \"learn\"}\n");
    CHECK_THROWS_WITH(loss_plot({damaged}, "learn"), Contains("metrics.jsonl:1"));
}

TEST_CASE("what a solver alone leaves is summed over the layers of a block, and shown by layer and role") {
    const test::TemporaryDirectory folder;
    const auto run = run_with(folder.path() / "a", "x", 1,
                              solved("model.layers.0.q.weight", 0, "[10, 5, 4]", ",\"error\":0.25") +
                                  solved("model.layers.0.k.weight", 0, "[30, 6]", ",\"error\":0.5") +
                                  solved("model.layers.1.q.weight", 1, "[4, 3]", ",\"error\":0.75"));
    const Plot error = error_plot({run});
    REQUIRE(error.panels.size() == 1);
    CHECK(ys(error.panels[0].series[0]) == std::vector<double>{0.25, 0.75});

    const Plot heat = heat_plot({run});
    REQUIRE(heat.panels.size() == 1);
    const PlotGrid& grid = heat.panels[0].grid;
    CHECK(grid.row_names == std::vector<std::string>{"q", "k"});
    CHECK(grid.cols == 2);
    CHECK(grid.values[0] == 0.25);
    CHECK(grid.values[1] == 0.75);
    CHECK(grid.values[2] == 0.5);
    CHECK(std::isnan(grid.values[3]));
    const std::string svg = to_svg(heat);
    CHECK_THAT(svg, Contains("k, block 0: 0.5") && Contains("k, block 1: nothing"));

    // Records of earlier versions have the objective alone; solvers of one pass not even what it was before.
    const auto old = run_with(folder.path() / "b", "x", 1,
                              solved("model.layers.0.q.weight", 0, "[10, 4]", "") +
                                  solved("model.layers.1.q.weight", 1, "[7]", ""));
    CHECK(heat_plot({old}).panels[0].grid.values == std::vector<double>{0.4});
    const auto one_pass = run_with(folder.path() / "c", "x", 1, solved("layers.0.q", 0, "[7]", ""));
    CHECK(error_plot({one_pass}).panels.empty());

    // A plot has figures of one kind.
    const Plot mixed = heat_plot(
        {run_with(folder.path() / "d", "new", 1, solved("layers.0.q", 0, "[8, 4]", ",\"error\":0.1")),
         run_with(folder.path() / "e", "old", 1, solved("layers.0.q", 0, "[8, 2]", ""))});
    CHECK_THAT(mixed.title, Contains("objective"));
    CHECK(mixed.panels.at(0).grid.values == std::vector<double>{0.5});
    CHECK(mixed.panels.at(1).grid.values == std::vector<double>{0.25});
}

TEST_CASE("seeds are averaged, and those that diverged are named") {
    const test::TemporaryDirectory folder;
    const auto seed = [&](int number, int jumps, const char* error, double kl) {
        const std::string name(1, static_cast<char>('a' + number));
        auto run = run_with(folder.path() / name, "near", number,
                            step(0, 0, 4, jumps) + solved("layers.0.q", 0, "[8, 4]", error) +
                                (number == 1 ? solved("layers.1.q", 1, "[8, 4]", error) : ""));
        run.result["evaluations"] = {
            {{"title", "perplexity, x"},
             {"metric", "perplexity"},
             {"models",
              {{"compressed",
                {{"kl_by_confidence",
                  {{{"from", 0.0}, {"to", 1.0}, {"median", kl}, {"p90", kl}, {"p99", kl}}}}}}}}}};
        return run;
    };
    std::vector<RunRecord> runs{seed(1, 4, ",\"error\":0.2", 1), seed(2, 8, ",\"error\":0.4", 3),
                                seed(3, 90, ",\"error\":0.9", 100)};
    runs.back().result["diverged"] = "in learning";
    runs.back().result["evaluations"] = json::array();

    const Plot jumps = jump_plot(runs);
    REQUIRE(jumps.panels.size() == 1);
    const PlotPoint& ones = jumps.panels[0].series[0].points.at(0);
    CHECK(ones.x == Approx(0.06));
    CHECK_THAT(ones.note, Contains("0.06 ± 0.02 per weight"));
    CHECK(jumps.remark == "diverged: near (1 of 3 seeds)");
    CHECK_THAT(to_svg(jumps), Contains("diverged: near (1 of 3 seeds)"));

    const Plot kl = divergence_plot(runs);
    REQUIRE(kl.panels.size() == 3);
    const PlotPoint& median = kl.panels[0].series.at(0).points.at(0);
    CHECK(median.y == Approx(2));
    CHECK(median.error == Approx(1));
    CHECK(kl.remark == jumps.remark);

    const Plot heat = heat_plot(runs);
    REQUIRE(heat.panels.size() == 1);
    CHECK(heat.panels[0].grid.values.at(0) == Approx(0.5));
    CHECK(heat.panels[0].grid.values.at(1) == Approx(0.2));
    CHECK(heat.panels[0].grid.runs.size() == 3);
    CHECK(heat.remark == jumps.remark);

    // Two evaluations have it: one has to be named.
    json& evaluations = runs.front().result["evaluations"];
    evaluations.push_back(evaluations.front());
    evaluations.back()["title"] = "perplexity, y";
    CHECK_THROWS_WITH(divergence_plot(runs), Contains("perplexity, y"));
    CHECK(divergence_plot(runs, "perplexity, x").panels.size() == 3);
}

TEST_CASE("a frontier joins the sizes of a method, shows the original and what rests under the pointer") {
    std::vector<RunRecord> runs;
    for (const auto& [bits, perplexity] : {std::pair{2, 40.0}, {3, 30.0}, {4, 22.0}}) {
        runs.push_back(measured({{"bits", std::to_string(bits)}, {"method", "lnq"}}, bits, 2 * perplexity));
        runs.push_back(measured({{"bits", std::to_string(bits)}, {"method", "jlcm"}}, bits, perplexity));
    }
    const Plot plot = frontier_plot(runs, {.x = {"bits", "minutes"}});
    REQUIRE(plot.panels.size() == 2);
    CHECK(titles(plot.panels[0]) == std::vector<std::string>{"lnq", "jlcm"});
    CHECK(ys(plot.panels[0].series[1]) == std::vector<double>{40, 30, 22});
    CHECK(plot.panels[0].series[1].mark == Mark::joined);
    // Learning and what the cache spared, without loading and evaluation.
    CHECK(plot.panels[1].series[1].points[0].x == Approx(2));
    REQUIRE(plot.levels.size() == 1);
    CHECK(plot.levels[0].y == 20);
    CHECK_THAT(plot.panels[0].series[1].points[0].note, Contains("method=jlcm") && Contains("perplexity 40"));
    CHECK(plot.panels[0].series[1].points[0].runs == std::vector<std::string>{runs[1].id()});
    // One colour a method, in every plot.
    CHECK(plot.panels[0].series[1].style == styles_of({"jlcm"}).front());

    const Plot difference = frontier_plot(runs, {.baseline = {"method", "lnq"}});
    REQUIRE(difference.panels.size() == 1);
    CHECK(titles(difference.panels[0]) == std::vector<std::string>{"jlcm"});
    CHECK(ys(difference.panels[0].series[0]) == std::vector<double>{-40, -30, -22});

    const Plot distance = frontier_plot(runs, {.to_frontier = true});
    CHECK(ys(distance.panels[0].series[0]) == std::vector<double>{2, 2, 2});
    CHECK(ys(distance.panels[0].series[1]) == std::vector<double>{1, 1, 1});

    CHECK_THROWS_WITH(frontier_plot(runs, {.series = "no_axis"}), Contains("no_axis"));
}

TEST_CASE("many curves become panels, runs without a finite figure are named, the best is in all of them") {
    std::vector<RunRecord> runs;
    for (const char* rows : {"in place", "stored", "moved"})
        for (const char* groups : {"1", "4", "16"})
            for (const int bits : {2, 3})
                runs.push_back(measured(
                    {{"bits", std::to_string(bits)}, {"rows", rows}, {"groups", groups}}, bits,
                    groups == std::string("4") && rows == std::string("moved") && bits == 2 ? not_finite
                                                                                            : 100.0 / bits));
    const Plot plot = frontier_plot(runs, {});
    REQUIRE(plot.panels.size() == 3);
    CHECK(plot.panels[1].title == "groups 4");
    CHECK(titles(plot.panels[1]) == std::vector<std::string>{"in place", "stored", "moved", "best of all"});
    CHECK_THAT(plot.panels[1].remark, Contains("rows=moved"));
    CHECK(plot.panels[0].remark.empty());
    const std::string svg = to_svg(plot);
    CHECK(count(svg, "<g class=\"panel\"") == 3);
    CHECK(count(svg, "<g class=\"key\"") == 3);
    CHECK(count(svg, "class=\"series context\"") == 3);
    CHECK(count(svg, "mark diverged") == 1);
}

TEST_CASE("a ranking has the best on top") {
    const std::vector<RunRecord> runs{measured({{"estimator", "frozen"}}, 2, 90),
                                      measured({{"estimator", "nearest"}}, 2, 40),
                                      measured({{"estimator", "softmax"}}, 2, not_finite)};
    const Plot plot = ranking_plot(runs, "perplexity");
    CHECK(plot.names == std::vector<std::string>{"nearest", "frozen", "softmax"});
    CHECK_THAT(to_svg(plot), Contains("mark diverged") && Contains("estimator=nearest"));
}

TEST_CASE("the distribution of KL is drawn with its noise floor") {
    auto run = measured({{"method", "jlcm"}}, 2, 40);
    CHECK(divergence_plot({run}).panels.empty());
    json& models = run.result["evaluations"][0]["models"];
    const auto list = [](double factor) {
        return json::array({{{"from", 0.0},
                             {"to", 0.5},
                             {"predictions", 3},
                             {"mean", 1.0},
                             {"median", factor},
                             {"p90", 2 * factor},
                             {"p99", 3 * factor}},
                            {{"from", 0.5},
                             {"to", 1.0},
                             {"predictions", 3},
                             {"mean", 1.0},
                             {"median", factor / 4},
                             {"p90", factor / 2},
                             {"p99", factor}}});
    };
    models["compressed"]["kl_by_confidence"] = list(1);
    models["original"]["noise_floor_kl_by_confidence"] = list(1e-3);
    const Plot plot = divergence_plot({run});
    REQUIRE(plot.panels.size() == 3);
    CHECK(titles(plot.panels[0]) == std::vector<std::string>{"jlcm", "noise floor"});
    CHECK(ys(plot.panels[1].series[0]) == std::vector<double>{2, 0.5});
    CHECK(plot.panels[1].series[0].points[1].x == 0.75);
    CHECK(ys(plot.panels[2].series[1])[0] == Approx(3e-3));
}

TEST_CASE("every mark is drawn, with any title, inside the panel") {
    Plot plot{.title = "it's \"a\" <title> & `date` $x {y}_z", .x_label = "x", .y_label = "y"};
    PlotSeries first{.title = "a_1'"};
    first.points = {{.x = 0, .y = 1, .error = 0.1}, {.x = 1, .y = 10}, {.x = 2, .y = not_finite}};
    PlotSeries second{.title = "b"};
    second.points = {{.x = 0, .y = 2}, {.x = 1, .y = -1}, {.x = 2, .y = 3, .note = "said <so>"}};
    for (const Mark mark : {Mark::line, Mark::joined, Mark::points, Mark::area, Mark::stems}) {
        first.mark = mark;
        second.mark = mark;
        plot.panels = {{.title = "", .series = {first, second}}};
        const std::string svg = to_svg(plot);
        CHECK(svg.starts_with("<svg"));
        CHECK_THAT(
            svg, Contains("it&#39;s") && Contains("&lt;title") && Contains("`date`") && Contains("a_1&#39;"));
        CHECK(to_svg(plot) == svg);
        CHECK(svg.find("nan") == std::string::npos);
        CHECK(svg.find("inf") == std::string::npos);
    }
    CHECK_THAT(to_svg(plot), Contains("said &lt;so&gt;"));
    plot.panels.clear();
    CHECK_THROWS_WITH(to_svg(plot), Contains("nothing to draw"));
    plot.panels = {{.title = "", .series = {{.title = "none", .points = {{.x = 1, .y = not_finite}}}}}};
    CHECK_THROWS_WITH(to_svg(plot), Contains("nothing to draw"));
}

TEST_CASE("a figure far outside sets no axis and is marked at its edge") {
    Plot plot{.title = "t", .x_label = "x", .y_label = "y", .log_y = true};
    PlotSeries series{.title = "runs", .mark = Mark::points};
    for (int i = 0; i < 12; ++i) series.points.push_back({.x = static_cast<double>(i), .y = 20.0 + i});
    series.points.push_back({.x = 5, .y = 1.5e7});
    plot.panels = {{.title = "", .series = {series}}};
    const std::string svg = to_svg(plot);
    CHECK(count(svg, "mark beyond") == 1);
    CHECK_THAT(svg, Contains("1.5e+07") && !Contains(">10M<"));
}

TEST_CASE("the axis of a histogram and of stems holds every height") {
    Plot plot{.title = "t", .x_label = "weight", .y_label = "density"};
    PlotSeries weights{.title = "weights", .mark = Mark::area};
    for (int i = -40; i <= 40; ++i)
        weights.points.push_back({.x = i / 10.0, .y = 2 * std::exp(-4 * std::abs(i / 10.0))});
    PlotSeries codewords{.title = "codewords", .mark = Mark::stems, .points = {{.x = 0, .y = 4}}};
    const auto high = [&] {
        const std::string svg = to_svg(plot);
        std::smatch found;
        REQUIRE(std::regex_search(svg, found, std::regex("data-y=\"\\S+ (\\S+) ")));
        CHECK(count(svg, "mark beyond") == 0);
        return std::stod(found[1]);
    };
    plot.panels = {{.title = "", .series = {weights}}};
    CHECK(high() > 2);
    plot.panels.push_back({.title = "", .series = {weights, codewords}});
    CHECK(high() > 4);
}

TEST_CASE("a picture says what its lines, names and panels are made of") {
    const std::vector<RunRecord> runs{measured({{"bits", "2"}, {"method", "lnq"}}, 2, 50),
                                      measured({{"bits", "3"}, {"method", "lnq"}}, 3, 40),
                                      measured({{"bits", "2"}, {"method", "jlcm"}}, 2, 30),
                                      measured({{"bits", "3"}, {"method", "jlcm"}}, 3, 20)};
    CHECK_THAT(to_svg(frontier_plot(runs, {})),
               Contains(fmt::format("data-joins=\"{};{}\"", runs[0].id(), runs[1].id())));
    const std::string ranking = to_svg(ranking_plot({runs[0], runs[2]}, "perplexity"));
    CHECK_THAT(ranking, Contains(fmt::format("data-runs=\"{}\">jlcm</text>", runs[2].id())));

    Plot heat{.title = "t", .x_label = "x", .y_label = "y"};
    for (const char* run : {"one", "two"})
        heat.panels.push_back(
            {.title = run, .grid = {.rows = 1, .cols = 1, .values = {1}, .row_names = {"q"}, .runs = {run}}});
    const std::string svg = to_svg(heat);
    CHECK_THAT(svg,
               Contains("<g class=\"panel\" data-runs=\"two\">") && Contains("data-runs=\"one\">one</text>"));
}

TEST_CASE("an image of rows is one picture with a strip of its groups") {
    Plot plot{.title = "t", .x_label = "x", .y_label = "y"};
    plot.panels = {{.title = "before",
                    .grid = {.rows = 2, .cols = 2, .values = {0, 1, not_finite, 0.5}, .row_groups = {1, 0}}}};
    CHECK(count(to_svg(plot), "data:image/png;base64,") == 2);
}

TEST_CASE("pictures are written as SVG, PNG and PDF") {
    const test::TemporaryDirectory folder;
    Plot plot{.title = "t", .x_label = "x", .y_label = "y"};
    plot.panels = {{.title = "", .series = {{.title = "a", .points = {{.x = 0, .y = 1}, {.x = 1, .y = 2}}}}}};
    draw(plot, folder.path() / "a.svg");
    CHECK(read_file(folder.path() / "a.svg") == to_svg(plot));
    CHECK_THROWS_WITH(draw(plot, folder.path() / "a.gif"), Contains(".svg, .png or .pdf"));
    plot.panels.clear();
    CHECK_THROWS_WITH(draw(plot, folder.path() / "none.svg"), Contains("nothing to draw"));
    CHECK_FALSE(std::filesystem::exists(folder.path() / "none.svg"));
    plot.panels = {{.title = "", .series = {{.title = "a", .points = {{.x = 0, .y = 1}, {.x = 1, .y = 2}}}}}};
    if (std::system("rsvg-convert --version >/dev/null 2>&1") != 0) {
        std::cout << "SKIPPED: no rsvg-convert\n";
        CHECK_THROWS_WITH(draw(plot, folder.path() / "a.png"), Contains("librsvg2-bin"));
        return;
    }
    draw(plot, folder.path() / "a.png");
    CHECK(read_file(folder.path() / "a.png").substr(1, 3) == "PNG");
    draw(plot, folder.path() / "a.pdf");
    CHECK(read_file(folder.path() / "a.pdf").starts_with("%PDF"));
}
