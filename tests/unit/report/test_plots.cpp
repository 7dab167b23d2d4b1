// Plots: what is drawn from metrics, and that gnuplot draws whatever titles are called.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/report/plot.hpp"
#include "core/report/run_plots.hpp"
#include "tests/support/temporary.hpp"

#include <iostream>
#include <limits>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Catch::Matchers::Contains;

RunRecord run_with(const std::filesystem::path& directory, const std::string& estimator, int seed,
                   const std::string& metrics) {
    write_file(directory / "metrics.jsonl", metrics);
    RunRecord run{.directory = directory, .labels = {}, .result = {}, .items = {}, .spec = {}};
    run.labels = {{"estimator", estimator}, {"seed", std::to_string(seed)}};
    run.result = {{"footprint", {{"compressed_weights", 100}}}};
    return run;
}

std::string step(int block, int number, double loss, int jumps) {
    return fmt::format(R"({{"stage":"learn","block":{},"step":{},"loss":{},"moved":0.1,"jumps":[{},1,1,2]}})",
                       block, number, loss, jumps) +
           "\n";
}

}  // namespace

TEST_CASE(
    "curves are means over blocks and seeds, jumps are counted by length, errors are those of the last "
    "step") {
    const test::TemporaryDirectory folder;
    const std::vector<RunRecord> runs = {
        run_with(folder.path() / "a", "near", 1,
                 step(0, 0, 4, 5) + step(0, 1, 2, 5) + step(1, 0, 8, 5) + step(1, 1, 6, 5)),
        run_with(folder.path() / "b", "near", 2,
                 step(0, 0, 2, 5) + step(0, 1, 2, 5) + step(1, 0, 2, 5) + step(1, 1, 2, 5)),
        run_with(folder.path() / "c", "far", 1, "")};
    const Plot loss = loss_plot(runs, "learn");
    REQUIRE(loss.series.size() == 1);
    CHECK(loss.series[0].title == "near");
    CHECK(loss.series[0].y == std::vector<double>{4, 3});
    CHECK(loss_plot(runs, "distill").series.empty());

    const Plot jumps = jump_plot(runs);
    CHECK(jumps.bars == std::vector<std::string>{"near"});
    CHECK(jumps.series[0].y.front() == Approx(0.2));
    CHECK(jumps.series[1].y.front() == Approx(0.04));
    CHECK(jumps.series[2].y.front() == Approx(0.12));

    const Plot error = error_plot(runs);
    REQUIRE(error.series.size() == 1);
    CHECK(error.series[0].y == std::vector<double>{2, 4});

    write_file(folder.path() / "c/metrics.jsonl", "{\"stage\": \"learn\"}\n");
    CHECK_THROWS_WITH(loss_plot(runs, "learn"), Contains("metrics.jsonl:1"));
}

TEST_CASE("what a solver alone leaves is summed over the layers of a block") {
    const test::TemporaryDirectory folder;
    const auto line = [](const char* weight, const char* objective) {
        return fmt::format(R"({{"stage":"solve","block":0,"weight":"{}","objective":{}}})", weight,
                           objective) +
               "\n";
    };
    const Plot plot =
        error_plot({run_with(folder.path() / "a", "x", 1,
                             line("model.layers.0.q", "[10, 5, 4]") + line("model.layers.0.k", "[30, 6]") +
                                 line("model.layers.1.q", "[4, 3]"))});
    REQUIRE(plot.series.size() == 1);
    CHECK(plot.series[0].y == std::vector<double>{0.25, 0.75});
}

TEST_CASE("gnuplot draws every style into SVG and PNG, with any title") {
    if (!can_draw()) {
        std::cout << "SKIPPED: no gnuplot\n";
        return;
    }
    const test::TemporaryDirectory folder;
    Plot plot{.title = "it's \"a\" <title> & `date` $x {y}_z", .x_label = "x", .y_label = "y"};
    plot.series = {{.title = "a_1'",
                    .x = {0, 1, 2},
                    .y = {1, 10, std::numeric_limits<double>::quiet_NaN()},
                    .error = {0.1, 1, 1}},
                   {.title = "b", .x = {0, 1, 2}, .y = {2, -1, 3}}};
    for (const auto style : {Plot::Style::lines, Plot::Style::points, Plot::Style::filled}) {
        plot.style = style;
        plot.log_y = style == Plot::Style::lines;
        const std::string svg = to_svg(plot);
        CHECK(svg.starts_with("<svg"));
        CHECK_THAT(svg, Contains("it's") && Contains("&lt;title") && Contains("`date`") && Contains("a_1'"));
    }
    plot.style = Plot::Style::stacked_bars;
    plot.bars = {"one", "two \"2\"", "three"};
    plot.series[0].y[2] = 1;
    draw(plot, folder.path() / "bars.png");
    CHECK(read_file(folder.path() / "bars.png").substr(1, 3) == "PNG");
    draw(plot, folder.path() / "bars.svg");
    CHECK_THROWS_WITH(draw(plot, folder.path() / "bars.pdf"), Contains(".svg or .png"));
    plot.series.clear();
    CHECK_THROWS_WITH(draw(plot, folder.path() / "none.svg"), Contains("nothing to draw"));
    CHECK_FALSE(std::filesystem::exists(folder.path() / "none.svg"));
}
