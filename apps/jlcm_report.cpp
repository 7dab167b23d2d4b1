// jlcm-report: finished runs as one HTML page, or as other experiment trackers read them.

#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/base/files.hpp"
#include "core/report/mlflow_export.hpp"
#include "core/report/report_page.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/tensorboard_export.hpp"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-report runs/estimator_ablation -o report.html
  jlcm-report runs/a runs/b --title "Two runs" -o report.html
  jlcm-report runs/methods_2bit --where method=lnq,jlcm -o report.html
  jlcm-report runs/methods_2bit --format mlflow -o mlruns          # then: MLFLOW_ALLOW_FILE_STORE=true mlflow ui
  jlcm-report runs/methods_2bit --format tensorboard -o events     # then: tensorboard --logdir events

The page needs no network and no other file: plots, tables that sort, one filter for both, every run's spec,
stages and environment. MLflow and TensorBoard get every value of the spec, every step's metrics, the final
figures with their protocols, hashes and versions; MLflow's runs have the run's directory as their artifacts.)";

int run(int argc, char** argv) {
    CLI::App app{"Shows finished runs on one HTML page, or writes them for MLflow or TensorBoard."};
    app.footer(examples);
    std::vector<std::string> places;
    std::vector<std::string> where;
    std::string out;
    std::string format = "html";
    std::string title = "Runs";
    std::string labels;
    app.add_option("runs", places, "Run directories, directories of them, or NAME.sweep.json files")
        ->required()
        ->type_name("RUNS");
    app.add_option("--format", format, "html, mlflow (its file store) or tensorboard (event files)")
        ->check(CLI::IsMember({"html", "mlflow", "tensorboard"}).description(""))
        ->capture_default_str();
    app.add_option("-o,--out", out,
                   "What is written: a page, or a directory (default: report.html, mlruns, events)")
        ->type_name("PATH");
    app.add_option("--title", title, "The page's heading")->capture_default_str();
    app.add_option("--where", where, "Only these runs; may be repeated, all have to hold")
        ->type_name("KEY=VALUES")
        ->allow_extra_args(false);
    app.add_option("--labels", labels, "Names for parts of the runs' paths")->type_name("PATTERN");
    if (const auto code = parse_arguments(app, argc, argv)) return *code;
    const auto runs = selected(read_runs({places.begin(), places.end()}, labels), parse_selection(where));
    if (format == "mlflow") {
        if (out.empty()) out = "mlruns";
        write_mlflow(out, runs);
    } else if (format == "tensorboard") {
        if (out.empty()) out = "events";
        write_tensorboard(out, runs);
    } else {
        if (out.empty()) out = "report.html";
        write_file(out, report_page(title, runs));
    }
    fmt::print("{}\n", out);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("jlcm-report", [&] { return run(argc, argv); });
}
