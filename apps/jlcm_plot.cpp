// jlcm-plot: plots of finished runs.

#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/report/plot_file.hpp"
#include "core/report/quality_plots.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/run_plots.hpp"
#include "core/report/weight_plots.hpp"

#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-plot frontier runs/bits_groups_frontier --y kl --out frontier.svg
  jlcm-plot frontier runs/methods_2bit --x bytes,minutes --series method --out cost.pdf
  jlcm-plot frontier runs/methods_2bit --against method=lnq --out difference.svg
  jlcm-plot ranking runs/estimator_ablation --out ranking.svg
  jlcm-plot kl runs/methods_2bit --out kl.svg
  jlcm-plot loss runs/estimator_ablation --where objective=block --out loss.svg
  jlcm-plot distillation runs/llama_2bit-0123456789ab --out distillation.png
  jlcm-plot jumps runs/estimator_ablation --out jumps.svg
  jlcm-plot jump-steps runs/estimator_ablation --where objective=block --out jump_steps.svg
  jlcm-plot error runs/methods_2bit --out error.svg
  jlcm-plot heat runs/llama_2bit-0123456789ab --out heat.svg
  jlcm-plot codebooks runs/llama_2bit-0123456789ab --weight model.layers.0.mlp.up_proj.weight --out codebooks.png
  jlcm-plot rows runs/llama_2bit-0123456789ab --weight model.layers.0.mlp.up_proj.weight --out rows.png

Runs that differ in their seed alone are averaged.)";

const std::vector<std::string> kinds{"frontier",   "ranking", "kl",   "loss",      "distillation", "jumps",
                                     "jump-steps", "error",   "heat", "codebooks", "rows"};

struct Arguments {
    std::string kind;
    std::vector<std::string> runs;
    std::string out;
    std::string labels;
    std::vector<std::string> where;
    std::vector<std::string> x{"bits"};
    std::string y = "perplexity";
    std::string series;
    std::string against;
    std::string stage = "learn";
    std::vector<std::string> names;
    std::string evaluation;
    std::string weight;
    std::string source;
    std::string title;
};

std::pair<std::string, std::string> two_sides(const std::string& text, const char* option, const char* form) {
    const auto equals = text.find('=');
    require(equals != std::string::npos && equals > 0, "{} {}: write {}", option, text, form);
    return {text.substr(0, equals), text.substr(equals + 1)};
}

Plot make_frontier(const Arguments& given, const std::vector<RunRecord>& runs) {
    FrontierOptions options{.x = given.x,
                            .y = given.y,
                            .evaluation = given.evaluation,
                            .series = given.series,
                            .baseline = {},
                            .names = {},
                            .to_frontier = given.against == "frontier"};
    if (!given.against.empty() && !options.to_frontier)
        options.baseline =
            two_sides(given.against, "--against", "AXIS=VALUE of the runs to compare with, or frontier");
    for (const std::string& name : given.names)
        options.names.push_back(
            two_sides(name, "--names", "TEXT=WORDS, a value of an axis and what to call it"));
    require(!options.to_frontier || options.x.size() == 1,
            "--against frontier: the distance to a frontier has one figure to the right, not {}",
            options.x.size());
    return frontier_plot(runs, options);
}

Plot make_plot(const Arguments& given, const std::vector<RunRecord>& runs) {
    if (given.kind == "frontier") return make_frontier(given, runs);
    if (given.kind == "ranking") return ranking_plot(runs, given.y, given.evaluation);
    if (given.kind == "kl") return divergence_plot(runs, given.evaluation);
    if (given.kind == "loss") return loss_plot(runs, "learn");
    if (given.kind == "distillation") return loss_plot(runs, "distill");
    if (given.kind == "jumps") return jump_plot(runs);
    if (given.kind == "jump-steps") return jump_steps_plot(runs, given.stage);
    if (given.kind == "error") return error_plot(runs);
    if (given.kind == "heat") return heat_plot(runs);
    require(runs.size() == 1, "{}: of one run, but there are {}; choose with --where", given.kind,
            runs.size());
    require(!given.weight.empty(), "{}: give the matrix as --weight (jlcm-inspect lists them)", given.kind);
    const RunRecord& run = runs.front();
    const auto source =
        given.source.empty() ? run.result.at("model").at("source").get<std::string>() : given.source;
    return given.kind == "rows" ? rows_plot(run, source, given.weight)
                                : codebook_plot(run, source, given.weight);
}

int run(int argc, char** argv) {
    CLI::App app{"Plots finished runs."};
    app.footer(examples);
    Arguments given;
    app.add_option("kind", given.kind, fmt::format("{}", fmt::join(kinds, ", ")))
        ->required()
        ->check(CLI::IsMember(kinds).description(""))
        ->type_name("KIND");
    app.add_option("runs", given.runs, "Run directories, directories of them, or NAME.sweep.json files")
        ->required()
        ->type_name("RUNS");
    app.add_option("--out", given.out, "The picture, .svg, .png or .pdf")->required()->type_name("FILE");
    app.add_option("--where", given.where, "Only these runs; may be repeated, all have to hold")
        ->type_name("KEY=VALUES")
        ->allow_extra_args(false);
    app.add_option("--labels", given.labels, "Names for parts of the runs' paths")->type_name("PATTERN");
    app.add_option("--x", given.x, "frontier: what is to the right; of several each has a panel")
        ->capture_default_str()
        ->delimiter(',')
        ->type_name("VALUES");
    app.add_option("--y", given.y, "frontier, ranking: the figure")
        ->capture_default_str()
        ->type_name("VALUE");
    app.add_option(
           "--series", given.series,
           "frontier: an axis or a key of specs, a line for each of its values (default: by all axes, in "
           "panels if there are many)")
        ->type_name("AXIS");
    app.add_option(
           "--against", given.against,
           "frontier: differences to the runs with this value on an axis, or distances to the best at no "
           "more of x")
        ->type_name("AXIS=VALUE|frontier");
    app.add_option("--evaluation", given.evaluation,
                   "frontier, ranking, kl: a part of the evaluation's title")
        ->type_name("TITLE");
    app.add_option("--stage", given.stage, "jump-steps: learn or distill")
        ->check(CLI::IsMember({"learn", "distill"}).description(""))
        ->capture_default_str();
    app.add_option("--names", given.names, "frontier: what to call a value of an axis; may be repeated")
        ->type_name("TEXT=WORDS")
        ->allow_extra_args(false);
    app.add_option("--weight", given.weight, "codebooks, rows: the matrix")->type_name("NAME");
    app.add_option("--source", given.source,
                   "codebooks, rows: the original model, where the run's name for it is not found")
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
