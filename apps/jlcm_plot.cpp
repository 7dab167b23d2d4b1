// jlcm-plot: plots of finished runs.

#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/run_plots.hpp"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-plot loss runs/estimator_ablation --where objective=block --out loss.svg
  jlcm-plot distillation runs/llama_2bit-0123456789ab --out distillation.png
  jlcm-plot jumps runs/estimator_ablation --where objective=block --out jumps.svg
  jlcm-plot error runs/methods_2bit --out error.svg
  jlcm-plot frontier runs/bits_groups_frontier --x bits --y perplexity --series rows --out frontier.svg
  jlcm-plot codebooks runs/llama_2bit-0123456789ab --weight model.layers.0.mlp.up_proj.weight --out codebooks.png

Runs that differ in their seed alone are averaged. gnuplot draws.)";

struct Arguments {
    std::string kind;
    std::vector<std::string> runs;
    std::string out;
    std::string labels;
    std::vector<std::string> where;
    std::string x = "bits";
    std::string y = "perplexity";
    std::string series;
    std::string evaluation;
    std::string weight;
    std::string source;
    std::string title;
};

Plot make_plot(const Arguments& given, const std::vector<RunRecord>& runs) {
    if (given.kind == "loss") return loss_plot(runs, "learn");
    if (given.kind == "distillation") return loss_plot(runs, "distill");
    if (given.kind == "jumps") return jump_plot(runs);
    if (given.kind == "error") return error_plot(runs);
    if (given.kind == "frontier")
        return frontier_plot(runs, given.x, given.y, given.series, given.evaluation);
    require(runs.size() == 1, "codebooks: of one run, but there are {}; choose with --where", runs.size());
    require(!given.weight.empty(), "codebooks: give the matrix as --weight (jlcm-inspect lists them)");
    const RunRecord& run = runs.front();
    const auto source =
        given.source.empty() ? run.result.at("model").at("source").get<std::string>() : given.source;
    return codebook_plot(run, source, given.weight);
}

int run(int argc, char** argv) {
    CLI::App app{"Plots finished runs."};
    app.footer(examples);
    Arguments given;
    app.add_option("kind", given.kind, "loss, distillation, jumps, error, frontier or codebooks")
        ->required()
        ->check(CLI::IsMember({"loss", "distillation", "jumps", "error", "frontier", "codebooks"})
                    .description(""))
        ->type_name("KIND");
    app.add_option("runs", given.runs, "Run directories, directories of them, or NAME.sweep.json files")
        ->required()
        ->type_name("RUNS");
    app.add_option("--out", given.out, "The picture, .svg or .png")->required()->type_name("FILE");
    app.add_option("--where", given.where, "Only these runs; may be repeated, all have to hold")
        ->type_name("KEY=VALUES")
        ->allow_extra_args(false);
    app.add_option("--labels", given.labels, "Names for parts of the runs' paths")->type_name("PATTERN");
    app.add_option("--x", given.x, "frontier: what is to the right")
        ->capture_default_str()
        ->type_name("VALUE");
    app.add_option("--y", given.y, "frontier: what is upwards")->capture_default_str()->type_name("VALUE");
    app.add_option(
           "--series", given.series,
           "frontier: an axis, a line for each of its values; all but the one along x where it is not given")
        ->type_name("AXIS");
    app.add_option("--evaluation", given.evaluation, "frontier: a part of the evaluation's title")
        ->type_name("TITLE");
    app.add_option("--weight", given.weight, "codebooks: the matrix")->type_name("NAME");
    app.add_option("--source", given.source,
                   "codebooks: the original model, where the run's name for it is not found")
        ->type_name("MODEL");
    app.add_option("--title", given.title, "Over the plot");
    if (const auto code = parse_arguments(app, argc, argv)) return *code;

    const auto runs = selected(read_runs({given.runs.begin(), given.runs.end()}, given.labels),
                               parse_selection(given.where));
    Plot plot = make_plot(given, runs);
    if (!given.title.empty()) plot.title = given.title;
    draw(plot, given.out);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("jlcm-plot", [&] { return run(argc, argv); });
}
